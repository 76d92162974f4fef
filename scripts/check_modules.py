#!/usr/bin/env python3
"""Checks how the crates and modules of impasto depend on each other.

    scripts/check_modules.py            exits with 1 and names each import that breaks a rule
    scripts/check_modules.py --graph    prints which module imports which

- A crate uses a library that is reserved for some crates only if it is one of them.
- Sibling modules do not import each other in a circle, at any depth: what two modules
  share belongs to a third one. A module and the modules inside it count as one.
- A module listed in FORBIDDEN does not import the other one.
- Only the dashboard's update function assigns to a field of its state, `app`.

Tests are left out. The source is read as text: `use` declarations, and paths that begin
with `crate::`, `super::` or `self::`. Names that a module re-exports count as imports of
the module that they come from.
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Libraries, and the crates that may depend on them.
RESERVED = {
    "tch": {"impasto-engine"},
    "torch-sys": {"impasto-engine"},
    "ratatui": {"impasto", "impasto-graphics"},
    "ratatui-image": {"impasto", "impasto-graphics"},
    "crossterm": {"impasto", "impasto-graphics"},
    "viuer": {"impasto", "impasto-graphics"},
}

# State does not know how it is drawn or changed.
FORBIDDEN = [
    ("impasto", "tui::app", "tui::view"),
    ("impasto", "tui::app", "tui::update"),
    ("impasto", "tui::update", "tui::view"),
]

# Assignments to the state of the dashboard, and who may make them.
ASSIGNMENT = re.compile(r"\bapp(?:\.\w+)+ [-+*/]?= ")
ASSIGNING = ("app", "update")


def crates():
    """The name and the source folder of every crate of the workspace."""
    for manifest in [ROOT / "Cargo.toml", *sorted(ROOT.glob("crates/*/Cargo.toml"))]:
        name = re.search(r'^name = "(.+)"$', manifest.read_text(), re.MULTILINE)[1]
        yield name, manifest


def dependencies(manifest):
    """The names under `[dependencies]`."""
    section = re.search(r"^\[dependencies\]\n(.*?)(?=^\[|\Z)", manifest.read_text(), re.M | re.S)
    return re.findall(r"^([\w-]+)(?:\.workspace)? =", section[1], re.MULTILINE) if section else []


def without_comments_and_tests(text):
    text = re.sub(r"//.*", "", text)
    return re.split(r"#\[cfg\(test\)\]\s*mod \w+ \{", text)[0]


def leaves(tree):
    """The paths of a `use` tree: `a::{b, c::d}` gives `a::b` and `a::c::d`."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        yield re.sub(r"\s+as\s+\w+$", "", tree)
        return
    depth, part = 0, ""
    for character in rest.rstrip()[:-1] + ",":
        if character == "," and depth == 0:
            if part.strip():
                for leaf in leaves(part):
                    yield head.strip() + leaf
            part = ""
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        part += character


class Crate:
    """The modules of one crate, by their paths, and their imports."""

    def __init__(self, name, folder):
        self.name = name
        self.sources = {}
        for path in sorted(folder.rglob("*.rs")):
            parts = list(path.relative_to(folder).with_suffix("").parts)
            if parts[-1] in ("mod", "lib", "main"):
                parts.pop()
            if "tests" not in parts and "test_device" not in parts:
                text = without_comments_and_tests(path.read_text())
                self.sources.setdefault(tuple(parts), []).append((path, text))
        self.reexports = defaultdict(dict)
        for module, files in self.sources.items():
            for _, text in files:
                for tree in re.findall(r"\bpub(?:\([^)]*\))? use ([^;]+);", text):
                    for leaf in leaves(tree):
                        target = self.absolute(module, leaf.split("::"))
                        if target:
                            self.reexports[module][leaf.split("::")[-1]] = target

    def absolute(self, module, segments):
        """The segments from the crate's root; none for another crate's path."""
        if segments[0] == "crate":
            return tuple(segments[1:])
        base = module
        if segments[0] in ("super", "self"):
            if segments[0] == "self":
                segments = segments[1:]
            while segments and segments[0] == "super":
                base, segments = base[:-1], segments[1:]
            return base + tuple(segments)
        return module + tuple(segments) if module + (segments[0],) in self.sources else None

    def module_of(self, path, depth=0):
        """The module that an item's path leads to, through re-exports."""
        module = ()
        for index, segment in enumerate(path):
            if module + (segment,) in self.sources:
                module += (segment,)
                continue
            target = self.reexports[module].get(segment)
            if target and target != path and depth < 8:
                return self.module_of(target + tuple(path[index + 1 :]), depth + 1)
            break
        return module

    def imports(self):
        """Every import: the importing module, the imported one, and the place."""
        for module, files in self.sources.items():
            for path, text in files:
                found = []
                for match in re.finditer(r"\b(pub(?:\([^)]*\))? )?use ([^;]+);", text):
                    if not match[1]:
                        found += [(leaf, match.start()) for leaf in leaves(match[2])]
                rest = re.sub(r"\buse [^;]+;", lambda use: " " * len(use[0]), text)
                for match in re.finditer(r"\b(?:crate|super|self)(?:::\w+)+", rest):
                    found.append((match[0], match.start()))
                for leaf, start in found:
                    target = self.absolute(module, [part.strip() for part in leaf.split("::")])
                    if target is None:
                        continue
                    line = text.count("\n", 0, start) + 1
                    yield module, self.module_of(target), f"{path.relative_to(ROOT)}:{line}: {leaf}"


def circles(edges):
    """The strongly connected components of more than one node."""
    index, low, stack, result = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = set()
            while node not in component:
                component.add(stack.pop())
            if len(component) > 1:
                result.append(component)

    for node in list(edges):
        if node not in index:
            visit(node)
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graph", action="store_true", help="print which module imports which")
    options = parser.parse_args()
    problems = []
    for name, manifest in crates():
        for library in dependencies(manifest):
            if name not in RESERVED.get(library, {name}):
                problems.append(f"{manifest.relative_to(ROOT)}: {name} must not depend on {library}")
        crate = Crate(name, manifest.parent / "src")
        siblings = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        if name == "impasto":
            for module, files in crate.sources.items():
                if module[:1] != ("tui",) or module[1:2] in [(part,) for part in ASSIGNING]:
                    continue
                for path, text in files:
                    for match in ASSIGNMENT.finditer(text):
                        line = text.count("\n", 0, match.start()) + 1
                        problems.append(
                            f"{path.relative_to(ROOT)}:{line}: only tui::update changes the state: {match[0]}"
                        )
        for module, target, place in crate.imports():
            common = 0
            while common < min(len(module), len(target)) and module[common] == target[common]:
                common += 1
            # A module and its own parts, or an import of the crate's root.
            if common in (len(module), len(target)):
                continue
            parent = "::".join((name, *module[:common]))
            siblings[parent][module[common]][target[common]].append(place)
            for crate_name, importer, imported in FORBIDDEN:
                if (
                    crate_name == name
                    and module[: len(importer.split("::"))] == tuple(importer.split("::"))
                    and target[: len(imported.split("::"))] == tuple(imported.split("::"))
                ):
                    problems.append(f"{place}\n    {importer} must not import {imported}")
        for parent, edges in sorted(siblings.items()):
            if options.graph:
                for module, targets in sorted(edges.items()):
                    print(f"{parent}: {module} -> {', '.join(sorted(targets))}")
            for circle in circles(edges):
                names = ", ".join(sorted(circle))
                lines = [f"{parent}: these modules import each other in a circle: {names}"]
                for module in sorted(circle):
                    for target in sorted(circle & set(edges[module])):
                        places = edges[module][target]
                        lines.append(f"    {module} -> {target}")
                        lines += [f"        {place}" for place in places]
                problems.append("\n".join(lines))
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
