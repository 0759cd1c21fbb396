import { cacheDirectory } from '@/shared/release'

/**
 * Regenerated pages (ISR) go to the one writable place of a release, over the pages of the build: Next.js writes them beside those, where
 * it may not. Loaded before the server; touches nothing but `<dist>/server`. When the place is full it begins anew.
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
 * Completes what Next.js leaves in `<dist>/standalone`: its own output lacks the static files and `public`, and in a workspace (or
 * below a stray lock file, which Next takes for one) nests the server at a depth that only the build knows. Afterwards the directory
 * is the artifact, and `.switchyard/next-server.mjs` starts it wherever the server is. Runs as the last build command, by `node -e`.
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

/** The command line; the program holds no single quote. */
export const finishNext = (distDirectory: string): string => `node -e '${program}' -- '${distDirectory.replaceAll("'", '')}'`

/** What a server of the app's own loads before Next.js. */
export const nextPreload = '.switchyard/next-preload.cjs'

/** Files that give Next.js its writable places in an artifact that was not made by `finishNext`: by their names in it. */
export function nextFiles(nextDirectory: string): Record<string, string> {
  const preload = `require("./next-pages.cjs")(require("node:path").join(__dirname, "..", ${JSON.stringify(nextDirectory)}));\n`
  return { '.switchyard/next-pages.cjs': pagesProgram, [nextPreload]: preload, [`${cacheDirectory}/.keep`]: '' }
}

export const nextStart = ['node', '.switchyard/next-server.mjs']
