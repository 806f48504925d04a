// Checks pages in headless Chromium: see scripts/accessibility, which calls this.
//
//   node accessibility.mjs BROWSER AXE FOLDER-OF-SCREENSHOTS PAGE...
//
// Talks to Chromium by the DevTools protocol over a pipe, which needs no package: messages are JSON that ends with NUL.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [browser, axe, screenshots, ...pages] = process.argv.slice(2);
const WIDTHS = [1400, 400];
const SCHEMES = ["light", "dark"];
// The pages of the gallery with a picture at 400 pixels, as in tests/suite/gallery.rs.
const ON_A_PHONE = ["policy-drift.html", "table-drift.html"];

const profile = mkdtempSync(join(tmpdir(), "accessibility-"));
const options = ["--headless", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "--no-first-run", "--disable-gpu", "--hide-scrollbars"];
// Chromium has no sandbox for root.
if (process.getuid?.() === 0) options.push("--no-sandbox");
const chromium = spawn(browser, [...options, "about:blank"], { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
let complaints = "";
chromium.stderr.on("data", (data) => (complaints += data));
const [, , , requests, answers] = chromium.stdio;

const waiting = new Map();
let sent = 0;
let rest = "";
requests.on("error", () => {});
answers.setEncoding("utf8").on("data", (data) => {
  const messages = (rest + data).split("\0");
  rest = messages.pop();
  for (const message of messages.map((text) => JSON.parse(text))) {
    const key = message.id ?? `${message.sessionId} ${message.method}`;
    const [done, failed] = waiting.get(key) ?? [];
    waiting.delete(key);
    if (message.error) failed?.(new Error(message.error.message));
    else done?.(message.result ?? message.params);
  }
});
chromium.on("exit", (code) => {
  for (const [, failed] of waiting.values()) failed(new Error(`${browser} ended with ${code}\n${complaints}`));
});
chromium.on("error", (error) => {
  for (const [, failed] of waiting.values()) failed(error);
});

const expect = (key) => new Promise((done, failed) => waiting.set(key, [done, failed]));
function call(sessionId, method, params = {}) {
  const id = ++sent;
  const answer = expect(id);
  requests.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  return answer;
}

/** Runs a function in the page, and returns its result. */
async function run(session, what, ...values) {
  const expression = `(${what})(${values.map((value) => JSON.stringify(value)).join()})`;
  const { result, exceptionDetails } = await call(session, "Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

/** Runs in the page: the violations that axe-core finds. */
async function violations() {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  const of = (one) => one.nodes.map((node) => `${one.id}: ${one.help}\n    ${node.html}\n    ${node.any.map((check) => check.message).join("; ")}`);
  return found.violations.flatMap(of);
}

/** Runs in the page: the text of pictures whose contrast is less than 4.5 to 1 (WCAG 2.2, 1.4.3), which axe-core does not check. */
function paleText() {
  const parse = (color) => (color.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const over = ([r, g, b, a = 1], behind) => [r, g, b].map((part, at) => part * a + behind[at] * (1 - a));
  const luminance = (color) => {
    const [r, g, b] = color.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if (color[3] !== 0) return color.slice(0, 3);
    }
    // The default of the browser, which follows the color scheme that the page declares.
    const scheme = getComputedStyle(document.documentElement).colorScheme;
    return scheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  const found = [];
  for (const picture of document.querySelectorAll("svg")) {
    const shapes = [...picture.querySelectorAll("rect, text, tspan")].filter((one) => !one.closest("defs"));
    for (const [at, text] of shapes.entries()) {
      const own = [...text.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
      if (text.tagName === "rect" || !own) continue;
      const box = text.getBoundingClientRect();
      const behind = (rect) => {
        const area = rect.getBoundingClientRect();
        return area.left <= box.left && area.right >= box.right && area.top <= box.top + 3 && area.bottom >= box.bottom - 3;
      };
      const rects = shapes.slice(0, at).filter((one) => one.tagName === "rect" && behind(one));
      const fills = rects.map((rect) => parse(getComputedStyle(rect).fill));
      const background = fills.reduce((below, fill) => over(fill, below), backgroundOf(picture));
      let [r, g, b, a = 1] = parse(getComputedStyle(text).fill);
      for (let one = text; one !== picture; one = one.parentElement) a *= Number(getComputedStyle(one).opacity);
      const [one, other] = [luminance(over([r, g, b, a], background)), luminance(background)].map((value) => value + 0.05);
      const contrast = Math.max(one, other) / Math.min(one, other);
      if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)} of "${text.textContent.trim()}" (${[r, g, b, a]} on ${background})`);
    }
  }
  return found;
}

/** Runs in the page: what does not fit its width. Pictures may be scrolled: they have the class "wide". */
function misfits() {
  const found = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) found.push(`the page is ${root.scrollWidth} pixels wide`);
  for (const element of document.body.querySelectorAll("*")) {
    const scrolls = ["auto", "scroll", "hidden"].includes(getComputedStyle(element).overflowX);
    if (scrolls && !element.matches(".wide") && element.scrollWidth > element.clientWidth) {
      found.push(`${element.outerHTML.slice(0, 80)}: ${element.scrollWidth} pixels in ${element.clientWidth}`);
    }
  }
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (words.nextNode()) {
    const node = words.currentNode;
    if (node.parentElement.closest("svg, style")) continue;
    // A longer text without spaces may be wider than the page.
    for (const token of node.textContent.matchAll(/(?<!\S)\S{2,40}(?!\S)/gu)) {
      for (const word of token[0].matchAll(/[\p{L}\p{N}]{2,}/gu)) {
        range.setStart(node, token.index + word.index);
        range.setEnd(node, token.index + word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((line) => Math.round(line.top)));
        if (lines.size > 1) found.push(`broken word: ${word[0]}`);
      }
    }
  }
  return found;
}

const library = readFileSync(axe, "utf8");
// The digest of each page with a picture: tests/suite/gallery.rs notices a picture that is older than its page.
const digests = new Map();
const faults = [];
let checked = 0;

async function check(session, path) {
  const isPicture = path.endsWith(".svg");
  const name = basename(path);
  await call(session, "Page.enable");
  // A picture has the same size at every width.
  for (const width of isPicture ? WIDTHS.slice(0, 1) : WIDTHS) {
    await call(session, "Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
    const loaded = expect(`${session} Page.loadEventFired`);
    await call(session, "Page.navigate", { url: pathToFileURL(resolve(path)).href });
    await loaded;
    for (const scheme of SCHEMES) {
      await call(session, "Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
      if (screenshots && scheme === "light" && path.startsWith(screenshots) && !isPicture) await photograph(session, path, width);
      const found = await run(session, paleText);
      if (!isPicture) {
        await run(session, () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
        await call(session, "Runtime.evaluate", { expression: library });
        found.push(...(await run(session, misfits)), ...(await run(session, violations)));
      }
      checked += 1;
      faults.push(...found.map((fault) => `${name} (${width} pixels, ${scheme}): ${fault}`));
    }
  }
}

async function photograph(session, path, width) {
  const name = basename(path);
  if (width < 600 && !ON_A_PHONE.includes(name)) return;
  // The top of a long page is enough, and keeps the repository small.
  const height = await run(session, () => document.documentElement.offsetHeight);
  const clip = { x: 0, y: 0, width, height: Math.min(height, 2000), scale: 1 };
  digests.set(name, createHash("sha256").update(readFileSync(path)).digest("hex"));
  const { data } = await call(session, "Page.captureScreenshot", { format: "png", clip, captureBeyondViewport: true });
  writeFileSync(join(screenshots, name.replace(".html", width < 600 ? "-narrow.png" : ".png")), Buffer.from(data, "base64"));
}

/** Checks pages in a tab, until none is left. */
async function tab(left) {
  const { targetId } = await call(undefined, "Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call(undefined, "Target.attachToTarget", { targetId, flatten: true });
  for (let path = left.shift(); path; path = left.shift()) await check(sessionId, path);
}

try {
  const left = [...pages];
  await Promise.all([tab(left), tab(left)]);
} finally {
  const ended = new Promise((done) => chromium.once("exit", done));
  call(undefined, "Browser.close").catch(() => {});
  await ended;
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
if (screenshots) {
  const lines = [...digests].map(([name, digest]) => `${digest}  ${name}\n`);
  writeFileSync(join(screenshots, "screenshots.sha256"), lines.sort((one, other) => one.slice(66).localeCompare(other.slice(66))).join(""));
}
for (const fault of faults) console.error(fault);
console.log(`${pages.length} pages and pictures, checked in ${checked} forms: ${faults.length || "no"} violations`);
process.exitCode = faults.length ? 1 : 0;
