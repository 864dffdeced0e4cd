/** Questions to the server and its answers. */

/** No answer: the server is away or too busy. Asking again later may help. */
export class Away extends Error {}

/** The server's no. `code` and `message` are its words, `answer` is the whole body. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer?.error?.message ?? answer?.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.code = answer?.error?.code ?? "";
    this.answer = answer ?? {};
  }

  /** Whether it is about the server's state and not about what was asked. */
  get passing() {
    return this.status >= 500 || this.status === 429 || this.status === 401 || this.status === 403;
  }
}

const PATIENCE = 20_000; // milliseconds
const LAST_WORDS = 60_000; // characters; browsers let a closing page send 64 KiB

/** The JSON at `path`; raises Away or Refused. */
export async function ask(path, { method = "GET", body, keepalive = false } = {}) {
  const options = { method, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  if (keepalive && options.body.length < LAST_WORDS) options.keepalive = true;
  else options.signal = AbortSignal.timeout(PATIENCE);
  let response;
  let answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (error) {
    if (response && !response.ok) throw new Refused(response.status, null);
    throw new Away(error.message);
  }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

/** The address of a photograph; its id is a path, encoded part by part. */
export const addressOf = (id) => `/api/photos/${id.split("/").map(encodeURIComponent).join("/")}`;

export const getSession = () => ask("/api/session");
export const getPhoto = (id) => ask(addressOf(id));
export const getDrafts = (id) => ask(`${addressOf(id)}/drafts`);
export const putPhoto = (id, body, keepalive = false) => ask(addressOf(id), { method: "PUT", body, keepalive });
export const getNext = (after, order) => ask(`/api/next?${new URLSearchParams({ after: after ?? "", order })}`);
export const getStatus = (since) => ask(`/api/status?since=${since}`);
export const getCommands = () => ask("/api/commands");
export const addClass = (name) => ask("/api/classes", { method: "POST", body: { name } });
export const setLearning = (action) => ask("/api/learning", { method: "POST", body: { action } });
export const exportTo = (format) => ask("/api/export", { method: "POST", body: { format } });
