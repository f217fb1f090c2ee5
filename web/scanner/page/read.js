// The worker that reads codes in pictures: zxing, all of it from our own folder.
importScripts("zxing.js", "pdf.js");

ZXingWASM.prepareZXingModule({ overrides: { locateFile: (name) => name } });

async function read(picture, hard) {
  const found = await ZXingWASM.readBarcodes(picture, {
    formats: ["QRCode"], tryHarder: hard, tryRotate: hard, tryInvert: hard, tryDownscale: true, maxNumberOfSymbols: 8, textMode: "Plain",
  });
  return found.filter((c) => c.isValid).map((c) => ({ text: c.text, bytes: c.bytes }));
}

// pdf reads the pages of a file until a second one has codes: then it holds several
// documents. On one page the longest code is the document; a strip beside it says less.
async function pdf(file) {
  const pages = [];
  for await (const picture of pdfPictures(file)) {
    const codes = await read(picture, true);
    if (codes.length) pages.push(codes.sort((a, b) => b.text.length - a.text.length));
    if (pages.length > 1) break;
  }
  return pages.length === 1 ? pages[0].slice(0, 1) : pages.flat();
}

onmessage = async ({ data: { id, picture, file, hard } }) => {
  try {
    postMessage({ id, codes: file ? await pdf(file) : await read(picture, hard) });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
