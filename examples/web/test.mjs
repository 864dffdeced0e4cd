/* Opens index.html in a headless browser, gives it photographs of several sizes and compares what the page finds
   with what `python -m masu.runtime` found. Usage: node test.mjs PHOTOGRAPH …, with CHROMIUM=/usr/bin/chromium and
   expected.jsonl (the output of `python -m masu.runtime model.onnx PHOTOGRAPH … --threshold 0.5`) beside it. */
import { readFileSync, createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, basename } from "node:path";
import { chromium } from "playwright-core";

const here = import.meta.dirname;
const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const server = createServer((request, response) => {
  const file = join(here, decodeURIComponent(new URL(request.url, "http://localhost").pathname));
  if (!file.startsWith(here) || !existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": types[extname(file)] || "application/octet-stream" });
  createReadStream(file).pipe(response);
}).listen(0);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});
const page = await browser.newPage();
const complaints = [];
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
await page.goto(`http://localhost:${server.address().port}/index.html`);
await page.waitForSelector("#photograph:not([disabled])");

const expected = readFileSync(join(here, "expected.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
let wrong = complaints.length;
for (const file of process.argv.slice(2)) {
  await page.setInputFiles("#photograph", file);
  const said = await page.waitForFunction(
    (name) => { const text = document.getElementById("said").textContent; return text.startsWith(`${name}: `) && text; },
    basename(file),
  );
  const found = Number((await said.jsonValue()).split(": ")[1].split(" ")[0]);
  const wanted = expected.find((row) => basename(row.file) === basename(file)).detections.length;
  console.log(`${await said.jsonValue()}, wanted ${wanted}`);
  wrong += found !== wanted;
}
if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
await browser.close();
server.close();
for (const complaint of complaints) console.error(complaint);
process.exit(wrong ? 1 : 0);
