import { cacheDirectory } from '@/shared/release'

/**
 * Redirects regenerated pages (ISR) to the writable directory of a release: Next.js writes them next to the pages of the build, which are
 * read-only. Loaded before the server; affects only `<dist>/server`. Starts empty again when the directory is full.
 */
export const pagesProgram = `
"use strict";
const fs = require("fs"), path = require("path"), { promises } = fs;
const written = path.join(__dirname, "cache", "pages");
module.exports = (dist) => {
  const root = path.join(dist, "server") + path.sep;
  const over = (file) => (typeof file === "string" && path.resolve(file).startsWith(root) ? path.join(written, path.resolve(file).slice(root.length)) : null);
  const reading = (owner, name, missing) => {
    const original = owner[name];
    owner[name] = (file, ...rest) => {
      const other = over(file);
      return other === null ? original.call(owner, file, ...rest) : missing(() => original.call(owner, other, ...rest), () => original.call(owner, file, ...rest));
    };
  };
  const later = (first, second) => first().catch((error) => { if (error.code === "ENOENT") return second(); throw error; });
  const now = (first, second) => { try { return first(); } catch (error) { if (error.code === "ENOENT") return second(); throw error; } };
  reading(promises, "readFile", later);
  reading(promises, "stat", later);
  reading(fs, "readFileSync", now);
  reading(fs, "existsSync", (first, second) => first() || second());
  const { writeFile, mkdir, link, unlink, rm } = promises;
  const full = (error) => error.code === "ENOSPC" || error.code === "EDQUOT";
  promises.writeFile = async (file, ...rest) => {
    const other = over(file);
    if (other === null) return writeFile.call(promises, file, ...rest);
    const write = async () => { await mkdir.call(promises, path.dirname(other), { recursive: true }); await writeFile.call(promises, other, ...rest); };
    await write().catch(async (error) => {
      if (!full(error)) throw error;
      await rm.call(promises, written, { recursive: true, force: true });
      await write().catch((again) => { if (!full(again)) throw again; });
    });
  };
  promises.mkdir = (file, ...rest) => { const other = over(file); return mkdir.call(promises, other === null ? file : other, ...rest); };
  promises.unlink = (file) => { const other = over(file); return unlink.call(promises, other === null ? file : other); };
  promises.link = async (from, to) => {
    const target = over(to);
    if (target !== null && fs.existsSync(to)) throw Object.assign(new Error("EEXIST: " + to), { code: "EEXIST" });
    return link.call(promises, over(from) || from, target || to);
  };
  require("module").syncBuiltinESMExports();
};
`.trim()

/**
 * Completes Next.js' output in `<dist>/standalone`, which lacks the static files and `public`, and nests the server at an unknown depth in a
 * workspace (or below a stray lock file). Afterwards the directory is the artifact, and `.switchyard/next-server.mjs` starts its server. Runs as
 * the last build command, with `node -e`.
 */
const program = `
const fs = require("fs"), path = require("path");
const dist = process.argv[1], out = path.join(dist, "standalone");
const fail = (text) => { console.error(text); process.exit(1); };
if (!fs.existsSync(out)) fail("next build wrote no " + out + ". Remove the output setting from the Next.js configuration, or set it to standalone.");
let app = "";
try { app = JSON.parse(fs.readFileSync(path.join(dist, "required-server-files.json"), "utf8")).relativeAppDir || ""; } catch {}
if (!fs.existsSync(path.join(out, app, "server.js"))) fail("next build wrote no server.js below " + out + ".");
const copy = (from, to) => fs.existsSync(from) && fs.cpSync(from, to, { recursive: true, verbatimSymlinks: true });
copy("public", path.join(out, app, "public"));
copy(path.join(dist, "static"), path.join(out, app, dist, "static"));
const own = path.join(out, ".switchyard"), cache = path.join(own, "cache");
fs.mkdirSync(cache, { recursive: true });
fs.writeFileSync(path.join(cache, ".keep"), "");
fs.rmSync(path.join(out, app, dist, "cache"), { recursive: true, force: true });
fs.symlinkSync(path.relative(path.join(out, app, dist), cache), path.join(out, app, dist, "cache"));
fs.writeFileSync(path.join(own, "next-pages.cjs"), ${JSON.stringify(pagesProgram)});
const server = "../" + (app ? app + "/" : "");
fs.writeFileSync(path.join(own, "next-server.mjs"), [
  "import pages from " + JSON.stringify("./next-pages.cjs") + ";",
  "import { fileURLToPath } from " + JSON.stringify("node:url") + ";",
  "pages(fileURLToPath(new URL(" + JSON.stringify(server + dist) + ", import.meta.url)));",
  "await import(" + JSON.stringify(server + "server.js") + ");",
].join("\\n") + "\\n");
`.trim()

/** The command line; the program contains no single quote. */
export const finishNext = (distDirectory: string): string => `node -e '${program}' -- '${distDirectory.replaceAll("'", '')}'`

/** Module that an app's own server loads before Next.js. */
export const nextPreload = '.switchyard/next-preload.cjs'

/** Additional files by name that give Next.js writable directories in an artifact that `finishNext` did not make. */
export function nextFiles(nextDirectory: string): Record<string, string> {
  const preload = `require("./next-pages.cjs")(require("node:path").join(__dirname, "..", ${JSON.stringify(nextDirectory)}));\n`
  return { '.switchyard/next-pages.cjs': pagesProgram, [nextPreload]: preload, [`${cacheDirectory}/.keep`]: '' }
}

export const nextStart = ['node', '.switchyard/next-server.mjs']
