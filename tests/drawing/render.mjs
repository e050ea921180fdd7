// Draws Mermaid texts in Chromium and prints what a person would find in the pictures, as JSON.
//
// argument: folder with node_modules
// stdin: {"chromium": path, "texts": [Mermaid, ...], "shots": folder or null}
// stdout: [{"nodes": [["S1", "its text"], ...], "edges": [["L_S1_S2_0", "its label"], ...]} or {"error": text}, ...]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const { chromium } = require("playwright-core");
const asked = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({
  executablePath: asked.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1100, height: 1200 } });
await page.setContent("<!doctype html><meta charset=utf-8><body style='margin:0; background:white'><div id=picture></div>");
await page.addScriptTag({ path: require.resolve("mermaid/dist/mermaid.min.js") });
const found = [];
for (const [place, text] of asked.texts.entries()) {
  found.push(await page.evaluate(draw, [place, text]));
  if (asked.shots) await (await page.$("#picture")).screenshot({ path: join(asked.shots, `mermaid-${place}.png`) });
}
await browser.close();
process.stdout.write(JSON.stringify(found));

// Runs in the page.
async function draw([place, text]) {
  mermaid.initialize({ startOnLoad: false });
  const picture = document.getElementById("picture");
  try {
    picture.innerHTML = (await mermaid.render(`picture${place}`, text)).svg;
  } catch (error) {
    return { error: String(error) };
  }
  const read = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("br").forEach((line) => line.replaceWith("\n"));
    return copy.textContent;
  };
  const all = (selector) => [...picture.querySelectorAll(selector)];
  const labels = new Map(all("g.edgeLabel > g.label").map((label) => [label.dataset.id, read(label)]));
  return {
    nodes: all("g.node").map((node) => [/flowchart-(.+)-\d+$/.exec(node.id)[1], read(node)]),
    edges: all("path[data-edge]").map((edge) => [edge.dataset.id, labels.get(edge.dataset.id)]),
  };
}
