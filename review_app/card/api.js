// Questions to the server. Every failure says of which kind it is: only a refusal is final, all else is tried again.

export class ApiError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind; // offline, login, forbidden, refused, server
  }
}

export class Api {
  constructor({ base, csrf }) {
    this.base = base;
    this.csrf = csrf;
  }

  // `byItself` marks what no person asked for: an open tab alone must not keep somebody logged in.
  async post(path, body, { timeout = 10000, byItself = false } = {}) {
    let answer;
    try {
      answer = await fetch(`${this.base}/api/${path}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "x-afrel-csrf": this.csrf,
          ...(byItself ? { "x-afrel-by-itself": "1" } : {}),
        },
        body: JSON.stringify(body),
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(timeout),
      });
    } catch (error) {
      throw new ApiError("offline", String(error));
    }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    const kind = { 401: "login", 403: "forbidden", 429: "server" }[answer.status] || (answer.status >= 500 ? "server" : "refused");
    throw new ApiError(kind, told.error || `${answer.status}`);
  }
}
