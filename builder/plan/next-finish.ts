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
fs.mkdirSync(path.join(out, ".switchyard"), { recursive: true });
fs.writeFileSync(path.join(out, ".switchyard", "next-server.mjs"), "await import(" + JSON.stringify("../" + (app ? app + "/" : "") + "server.js") + ");\\n");
`.trim()

/** The command line; the program holds no single quote. */
export const finishNext = (distDirectory: string): string => `node -e '${program}' -- '${distDirectory.replaceAll("'", '')}'`

export const nextStart = ['node', '.switchyard/next-server.mjs']
