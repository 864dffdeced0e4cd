/* An exported masu model in the browser: pixels in, boxes out. Works with any file of `masu export`. */

/** Opens a model; `ort` is ONNX Runtime Web. */
export function open(ort, url) {
  return ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
}

/**
 * Finds objects in an <img>, <video>, <canvas> or ImageBitmap.
 * Returns a list of {box: [x1, y1, x2, y2], score, label}, best first, in pixels of the picture.
 */
export async function detect(ort, session, picture, threshold = 0.5) {
  const width = picture.naturalWidth || picture.videoWidth || picture.width;
  const height = picture.naturalHeight || picture.videoHeight || picture.height;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    rgb[j++] = rgba[i];
    rgb[j++] = rgba[i + 1];
    rgb[j++] = rgba[i + 2];
  }
  const images = new ort.Tensor("uint8", rgb, [1, height, width, 3]);
  const { boxes, scores, labels, count } = await session.run({ images });
  const found = [];
  for (let i = 0; i < Number(count.data[0]) && scores.data[i] >= threshold; i++) {
    found.push({
      box: Array.from(boxes.data.slice(4 * i, 4 * i + 4)),
      score: scores.data[i],
      label: Number(labels.data[i]),
    });
  }
  return found;
}
