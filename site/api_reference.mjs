// The reference of the npm packages, generated from their sources. Fails on an export without a description,
// and on a link that leads nowhere. Run as a program, it only checks. Generate the API of packages/server
// first.

import { join, resolve } from "node:path";

import { Application, OptionDefaults } from "typedoc";

const packages = resolve(import.meta.dirname, "../packages");

/** Exported names need a description. */
const NAMES = ["Class", "Interface", "TypeAlias", "Function", "Variable"];
const PACKAGES = {
  client: [...NAMES, "Method", "Accessor"],
  react: NAMES,
  server: [...NAMES, "Method", "Accessor"],
  testing: [...NAMES, "Method", "Accessor"],
};

/** Exports that need no description: the generated types of the HTTP API, and texts, by their names. */
function undescribed(project) {
  const texts = project.getChildByName("Texts")?.children ?? [];
  const functions = texts.filter(({ type, comment }) => type?.type === "reflection" && !comment);
  const generated = project.getChildByName("components");
  return [...functions, ...(generated ? [generated] : [])].map((one) => one.getFullName());
}

/** Checks each package, and writes its pages to a folder of its own below `folder`, if there is one. */
export async function apiReference(folder) {
  for (const [name, requiredToBeDocumented] of Object.entries(PACKAGES)) {
    const app = await Application.bootstrapWithPlugins({
      name: `@roomful/${name}`,
      plugin: ["typedoc-plugin-markdown"],
      entryPoints: [join(packages, name, "src/index.ts")],
      tsconfig: join(packages, name, "tsconfig.json"),
      outputs: folder ? [{ name: "markdown", path: join(folder, name) }] : [],
      readme: "none",
      entryFileName: "index",
      router: "kind",
      hidePageHeader: true,
      hideBreadcrumbs: true,
      disableSources: true,
      excludePrivate: true,
      excludeProtected: true,
      excludeInternal: true,
      useCodeBlocks: true,
      parametersFormat: "table",
      interfacePropertiesFormat: "table",
      propertyMembersFormat: "table",
      // The types of the HTTP API come from its description, which has this tag.
      blockTags: [...OptionDefaults.blockTags, "@description", "@format"],
      logLevel: "Warn",
      requiredToBeDocumented,
      validation: { notDocumented: true, invalidLink: true, notExported: false },
    });
    const project = await app.convert();
    if (!project) throw new Error(`failed to read the sources of ${name}`);
    app.options.setValue("intentionallyNotDocumented", undescribed(project));
    app.validate(project);
    if (folder) await app.generateOutputs(project);
    if (app.logger.hasErrors() || app.logger.hasWarnings())
      throw new Error(`complete the descriptions of the exports of packages/${name}`);
  }
}

if (process.argv[1] === import.meta.filename) await apiReference();
