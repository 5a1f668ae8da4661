// Opens the page in headless Chromium, gives it each sound file, then one as its microphone; prints what it shows.
//
//   node browse.mjs PAGE CHROMIUM PLAYWRIGHT SOUND... -> {"files": {SOUND: label}, "microphone": label, "errors": []}
import { createServer } from "node:http";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const LIMIT_MS = 30_000;

const [folder, chromium, playwright, ...sounds] = process.argv.slice(2);
const server = createServer(async (request, answer) => {
  try {
    const name = request.url === "/" ? "index.html" : decodeURIComponent(request.url.slice(1));
    const content = await readFile(join(folder, name));
    answer.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream" }).end(content);
  } catch {
    answer.writeHead(404).end();
  }
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const address = `http://127.0.0.1:${server.address().port}/`;

const { chromium: browser } = await import(pathToFileURL(playwright));
const context = await browser.launchPersistentContext(await mkdtemp(join(tmpdir(), "page-")), {
  executablePath: chromium,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${sounds.at(-1)}`, // a WAV
  ],
  permissions: ["microphone"],
});
const page = await context.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
page.on("requestfailed", (request) => errors.push(`${request.url()} failed`));
page.on("request", (request) => request.url().startsWith(address) || errors.push(`asks ${request.url()}`));
await page.goto(address);
await page.getByText("Ready.").waitFor({ timeout: LIMIT_MS });

const told = { files: {} };
for (const sound of sounds) {
  await page.locator("#file").setInputFiles(sound);
  await page.locator("#state", { hasText: new RegExp(`^${sound.split("/").at(-1)}$`) }).waitFor({ timeout: LIMIT_MS });
  told.files[sound] = await page.locator("#scores li").first().getAttribute("data-label");
}
await page.locator("#microphone").click();
await page.getByText("Listening.").waitFor({ timeout: LIMIT_MS });
await page.waitForTimeout(4_000);
told.microphone = await page.locator("#scores li").first().getAttribute("data-label");
await page.screenshot({ path: join(folder, "page.png") });
await context.close();
server.close();
console.log(JSON.stringify({ ...told, errors: errors.filter((error) => !error.startsWith("asks blob:")) }));
