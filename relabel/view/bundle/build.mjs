// Makes libraries.min.js and LICENSES.txt of the packages in package-lock.json; `make viewer` runs it.
import { build } from "esbuild";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

const { metafile } = await build({
  entryPoints: ["libraries.js"], outfile: "libraries.min.js", bundle: true, minify: true, format: "iife",
  globalName: "libraries", target: "es2022", legalComments: "none", metafile: true, logLevel: "warning",
});

// A package whose archive has no text of its licence names it in package.json.
const folders = new Set();
for (const [path, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
  const folder = path.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0];
  if (folder && bytesInOutput) folders.add(folder);
}
const texts = [...folders].sort().map((folder) => {
  const { name, version, license, author } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = existsSync(folder) && readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const by = typeof author === "object" ? author.name : author;
  const text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : [`Licence: ${license}`, by && `Author: ${by}`].filter(Boolean).join("\n");
  return `${name} ${version} (${license})\n\n${text.replace(/[ \t]+$/gm, "")}`;
});
writeFileSync("LICENSES.txt", `libraries.min.js is made of these packages.\n\n${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
