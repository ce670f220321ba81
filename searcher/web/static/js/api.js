// Calls the HTTP API. Each call goes to the library that the URL names.

import { state } from "./state.js";

const TOKEN = document.querySelector("meta[name=searcher-token]").content;

/** What a person reads when a call fails. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export function url(path, parameters = new URLSearchParams()) {
  const all = new URLSearchParams(parameters);
  if (state().library) all.set("library", state().library);
  const query = all.toString();
  return `api/${path}${query ? `?${query}` : ""}`;
}

async function call(method, path, parameters, options = {}) {
  let answer;
  try {
    answer = await fetch(url(path, parameters), {
      method,
      ...options,
      headers: { ...(method === "GET" ? {} : { "X-Searcher-Token": TOKEN }), ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("searcher does not answer. Is `searcher serve` still running?", 0);
  }
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => null);
  throw new ApiError(body?.error ?? `The server answered ${answer.status}.`, answer.status);
}

const sent = (method) => (path, body) =>
  call(method, path, undefined, { body: JSON.stringify(body ?? {}), headers: { "Content-Type": "application/json" } });

export const get = (path, parameters, signal) => call("GET", path, parameters, { signal });
export const post = sent("POST");
export const remove = sent("DELETE");

/** Sends a picture to search with. Returns the key under which the server knows it. */
export async function upload(file) {
  const form = new FormData();
  form.append("picture", file, file.name || "picture");
  form.append("limit", "1");
  return (await call("POST", "search", undefined, { body: form })).upload;
}

const SIZES = [128, 256, 512, 1024];

/** The thumbnail for a box whose longer side has so many CSS pixels. */
export function thumbnail(id, pixels) {
  const wanted = pixels * devicePixelRatio * 0.85;
  const size = SIZES.find((one) => one >= wanted) ?? SIZES.at(-1);
  return url(`images/${id}/thumbnail`, new URLSearchParams({ size }));
}
