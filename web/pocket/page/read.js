// The worker that reads codes in pictures: zxing, all of it from our own folder.
importScripts("zxing.js");

ZXingWASM.prepareZXingModule({ overrides: { locateFile: (name) => name } });

onmessage = async ({ data: { id, picture, hard } }) => {
  try {
    const found = await ZXingWASM.readBarcodes(picture, {
      formats: ["QRCode"], tryHarder: hard, tryRotate: hard, tryInvert: hard, tryDownscale: true, maxNumberOfSymbols: 8, textMode: "Plain",
    });
    postMessage({ id, codes: found.filter((c) => c.isValid).map((c) => ({ text: c.text, bytes: c.bytes })) });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
