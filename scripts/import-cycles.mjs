#!/usr/bin/env node
// Finds import cycles between the Rust files of each crate.
//
// A file and the files of its child modules may import each other; all other files form no cycles. The check
// fails if one does, and prints the imports inside it.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** All Rust files below a folder. */
function rustFiles(folder) {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith(".rs"))
        .map((entry) => join(entry.parentPath, entry.name));
}

/** The source without comments, strings and test modules. */
function stripped(source) {
    const code = source
        .replace(/\/\*[\s\S]*?\*\//g, "")
        .replace(/r(#+)"[\s\S]*?"\1/g, '""')
        .replace(/\/\/.*$/gm, "")
        .replace(/"(?:\\[\s\S]|[^"\\])*"/g, '""');
    return withoutTests(code);
}

/** Removes the items behind `#[cfg(test)]` and the like. */
function withoutTests(code) {
    const attribute = /#\[cfg\((?:test|any\(test[^\]]*)\)\]/;
    for (;;) {
        const found = attribute.exec(code);
        if (!found) return code;
        const start = found.index;
        let end = start + found[0].length;
        let depth = 0;
        for (; end < code.length; end++) {
            if (code[end] === "{") depth++;
            if (code[end] === "}" && --depth === 0) break;
            if (code[end] === ";" && depth === 0) break;
        }
        code = code.slice(0, start) + code.slice(end + 1);
    }
}

/** The paths of a `use` tree, as lists of names. `a::{b, c as d}` gives [a, b] and [a, c]. */
function expand(tree, prefix = []) {
    const text = tree.trim();
    const brace = text.indexOf("{");
    if (brace < 0) {
        const names = text.replace(/\s+as\s+\w+$/, "").split("::");
        return [[...prefix, ...names.map((name) => name.trim()).filter(Boolean)]];
    }
    const names = text.slice(0, brace).split("::").map((name) => name.trim());
    const inner = [...prefix, ...names.filter(Boolean)];
    return splitTopLevel(text.slice(brace + 1, text.lastIndexOf("}"))).flatMap((part) => expand(part, inner));
}

function splitTopLevel(text) {
    const parts = [];
    let [depth, start] = [0, 0];
    for (let at = 0; at < text.length; at++) {
        if (text[at] === "{") depth++;
        if (text[at] === "}") depth--;
        if (text[at] === "," && depth === 0) {
            parts.push(text.slice(start, at));
            start = at + 1;
        }
    }
    parts.push(text.slice(start));
    return parts.filter((part) => part.trim());
}

/** The modules of a crate by path ("" is the crate itself), each with its file, imports and re-exports. */
function readCrate(src) {
    const modules = new Map();
    for (const file of rustFiles(src)) {
        const path = relative(src, file)
            .replace(/\.rs$/, "")
            .replace(/(^|\/)(mod|lib|main)$/, "");
        const code = stripped(readFileSync(file, "utf8"));
        const uses = [...code.matchAll(/\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);/g)];
        const paths = uses.map(([, isPublic, tree]) => ({ isPublic, paths: expand(tree) }));
        const inline = code.replace(/\buse\s+[^;]+;/g, "").matchAll(/\b(?:crate|super|self)(?:::\w+)+/g);
        modules.set(path, {
            file,
            imports: [...paths.flatMap((use) => use.paths), ...[...inline].map(([text]) => text.split("::"))],
            reexports: paths.filter((use) => use.isPublic).flatMap((use) => use.paths),
        });
    }
    return modules;
}

/** The path of a module as names, without `crate`, `self` and `super`; null for a path into another crate. */
function absolute(modules, from, path) {
    const here = from ? from.split("/") : [];
    const names = [...path];
    if (names[0] === "crate") return names.slice(1);
    if (names[0] === "self") return [...here, ...names.slice(1)];
    if (names[0] === "super") {
        let up = here;
        while (names[0] === "super") {
            up = up.slice(0, -1);
            names.shift();
        }
        return [...up, ...names];
    }
    return modules.has([...here, names[0]].join("/")) ? [...here, ...names] : null;
}

/** The module that defines what a path names, through re-exports. */
function resolve(modules, from, path, seen = new Set()) {
    const names = absolute(modules, from, path);
    if (!names) return null;
    let length = names.length;
    while (length > 0 && !modules.has(names.slice(0, length).join("/"))) length--;
    const module = names.slice(0, length).join("/");
    const name = names[length];
    const key = `${module} ${name}`;
    if (!name || seen.has(key)) return module;
    seen.add(key);
    const found = modules.get(module)?.reexports.find((path) => path.at(-1) === name);
    return (found && resolve(modules, module, found, seen)) ?? module;
}

const isAncestor = (above, below) => above === "" || below.startsWith(`${above}/`);

/** For each module the modules that it imports, without its ancestors and descendants. */
function importsOf(modules) {
    const edges = new Map();
    for (const [from, { imports }] of modules) {
        const targets = imports
            .map((path) => resolve(modules, from, path))
            .filter((to) => to !== null && modules.has(to) && to !== from)
            .filter((to) => !isAncestor(to, from) && !isAncestor(from, to));
        edges.set(from, new Set(targets));
    }
    return edges;
}

/** The strongly connected components with more than one module (Tarjan). */
function cycles(edges) {
    const [index, low, stack, found] = [new Map(), new Map(), [], []];
    const visit = (node) => {
        index.set(node, index.size);
        low.set(node, index.get(node));
        stack.push(node);
        for (const next of edges.get(node) ?? []) {
            if (!index.has(next)) {
                visit(next);
                low.set(node, Math.min(low.get(node), low.get(next)));
            } else if (stack.includes(next)) {
                low.set(node, Math.min(low.get(node), index.get(next)));
            }
        }
        if (low.get(node) === index.get(node)) {
            const component = stack.splice(stack.indexOf(node));
            if (component.length > 1) found.push(component);
        }
    };
    for (const node of edges.keys()) if (!index.has(node)) visit(node);
    return found;
}

let found = 0;
for (const crate of readdirSync(join(root, "crates")).sort()) {
    const modules = readCrate(join(root, "crates", crate, "src"));
    const name = (module) => relative(root, modules.get(module).file);
    const edges = importsOf(modules);
    for (const component of cycles(edges)) {
        found++;
        console.error(`import cycle of ${component.length} files in crates/${crate}:`);
        for (const from of component.sort()) {
            const to = [...edges.get(from)].filter((module) => component.includes(module));
            console.error(`  ${name(from)} -> ${to.map(name).join(", ")}`);
        }
    }
}
if (found) process.exit(1);
console.log("import cycles: none");
