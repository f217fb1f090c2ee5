// Writes the names of languages and countries (internal/i18n/names) anew, from the
// CLDR that node has inside: `node scripts/names.mjs`. The scanner page asks its
// browser for the same names instead.
//
// A line is CODE NAME: ISO 639 in small letters, two of them where there are two;
// ISO 3166 in capitals.
import { mkdirSync, writeFileSync } from "node:fs";

const letters = [..."abcdefghijklmnopqrstuvwxyz"];
const pairs = letters.flatMap((a) => letters.map((b) => a + b));
const triples = pairs.flatMap((p) => letters.map((c) => p + c));
const folder = new URL("../internal/i18n/names/", import.meta.url);
mkdirSync(folder, { recursive: true });
for (const tag of ["en", "fr", "pt", "sw", "bn", "ar"]) {
  const names = (type) => new Intl.DisplayNames([tag === "pt" ? "pt-PT" : tag], { type, fallback: "none" });
  const languages = names("language"), regions = names("region");
  const canonical = (code) => { try { return Intl.getCanonicalLocales(code)[0] } catch { return "" } };
  const lines = [];
  for (const code of [...pairs, ...triples]) {
    const name = canonical(code) === code && !["und", "mul", "zxx", "mis"].includes(code) ? languages.of(code) : undefined;
    if (name) lines.push(code + " " + name);
  }
  for (const code of pairs.map((p) => p.toUpperCase())) {
    // What is left out are codes of nobody, of no country, or taken back.
    const own = /^(AA|Q[M-Z]|X[A-JL-Z]|Z[Z])$/.test(code) || ["EU", "EZ", "UN", "AC", "CP", "CQ", "DG", "EA", "IC", "TA"].includes(code);
    const name = !own && canonical("und-" + code) === "und-" + code ? regions.of(code) : undefined;
    if (name) lines.push(code + " " + name);
  }
  writeFileSync(new URL(tag + ".txt", folder), lines.join("\n") + "\n");
}
console.log("CLDR " + process.versions.cldr);
