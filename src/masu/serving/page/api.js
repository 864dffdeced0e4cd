// What the server is asked.

async function answered(request) {
  let answer;
  try {
    answer = await request;
  } catch {
    throw new Error("The server does not answer.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error?.message ?? `The server answered ${answer.status}.`);
  return said;
}

export const models = async () => (await answered(fetch("/models"))).models;

export async function predict(picture, model, threshold) {
  const query = new URLSearchParams({ model, threshold });
  const type = picture.type.startsWith("image/") ? picture.type : "application/octet-stream";
  const said = await answered(
    fetch(`/predict?${query}`, { method: "POST", body: picture, headers: { "Content-Type": type } }),
  );
  return said.images[0];
}
