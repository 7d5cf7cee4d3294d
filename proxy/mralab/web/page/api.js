// The control API of the proxy that served this page.

/** An answer other than success: message, every problem, and a hint on what to do. */
export class ApiError extends Error {
  constructor(status, { message = `status ${status}`, problems = [], hint = "", code = "" } = {}) {
    super(message);
    Object.assign(this, { status, problems, hint, code });
  }

  /** The error as one text: every problem, then the hint. */
  get text() {
    const problems = this.problems.length ? this.problems.join("; ") : this.message;
    return this.hint ? `${problems}. ${this.hint[0].toUpperCase()}${this.hint.slice(1)}` : problems;
  }
}

async function send(method, path, body) {
  const options = { method, cache: "no-store" };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, { message: "the proxy does not answer", hint: "is it running? The page reconnects by itself." });
  }
  if (response.ok) return response;
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // not JSON: the status alone says what happened
  }
  throw new ApiError(response.status, error);
}

const json = async (...request) => (await send(...request)).json();

export const get = (path) => json("GET", path);
export const post = (path, body) => json("POST", path, body);
export const patch = (path, body) => json("PATCH", path, body);
export const remove = (path, body) => json("DELETE", path, body);

/** POST, and return the attachment that answers it: its name and its data. */
export async function attachment(path) {
  const response = await send("POST", path);
  const name = /filename="([A-Za-z0-9._-]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  return { name: name ? name[1] : "download", data: await response.blob() };
}
