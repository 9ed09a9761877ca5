// The REST API as typed functions. Every refusal becomes an ApiError that carries the server's own sentence.

import { type NodeSpec, readNodeSpec, readWidening, type Widening } from '../core/catalogue.ts';
import { isObject, type JsonObject, type JsonValue, parseJson, stringifyJson } from '../core/json.ts';
import type { Problem } from '../core/problems.ts';
import type { JobError, JobState, OutputFile } from '../core/run.ts';
import { t } from '../i18n/index.ts';

const BASE = '/api/v1';

export class ApiError extends Error {
  override name = 'ApiError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly problems: readonly Problem[] = [],
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** Times are in seconds since 1970. */
export interface Job {
  id: string;
  state: JobState;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  attempt: number;
  position: number | null;
  error: JobError | null;
  outputs: Record<string, OutputFile[]>;
  title: string | null;
}

export interface Template {
  name: string;
  title: string;
  description: string;
  thumbnail_url: string | null;
}

export interface InputImage {
  name: string;
  url: string;
  thumbnail_url: string;
}

export interface PackReport {
  name: string;
  ok: boolean;
  error: string | null;
}

const asText = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null);

function readProblems(value: JsonValue | undefined, severity: Problem['severity']): Problem[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isObject).map((raw) => ({
    code: asText(raw['code']) ?? 'unknown',
    message: asText(raw['message']) ?? '',
    node: asText(raw['node']),
    class_type: asText(raw['class_type']),
    input: asText(raw['input']),
    severity,
  }));
}

async function request(
  method: string,
  path: string,
  body?: BodyInit,
  signal?: AbortSignal,
): Promise<JsonObject> {
  const init: RequestInit = {
    method,
    ...(body === undefined ? {} : { body }),
    ...(signal ? { signal } : {}),
  };
  if (typeof body === 'string') init.headers = { 'content-type': 'application/json' };
  let response: Response;
  try {
    response = await fetch(BASE + path, init);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, 'unreachable', t('server.unreachable'));
  }
  const text = await response.text();
  const value = readReply(text);
  if (response.ok && value) return value;
  const error = value && isObject(value['error']) ? value['error'] : {};
  throw new ApiError(
    response.status,
    asText(error['code']) ?? `http_${response.status}`,
    asText(error['message']) ?? unexplained(response),
    [...readProblems(value?.['problems'], 'error'), ...readProblems(value?.['warnings'], 'warning')],
    Number(response.headers.get('retry-after')) || null,
  );
}

/** Null for what is no JSON object: a proxy's page, or nothing at all. Its caller makes an error of that. */
function readReply(text: string): JsonObject | null {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function unexplained({ ok, status, statusText }: Response): string {
  return ok ? t('server.unreadable') : t('server.answered', { answer: `${status} ${statusText}`.trim() });
}

/** Replies are typed by the server's contract; the cast is the one place that trusts it. */
const reply = <T>(value: JsonValue | undefined): T => value as T;

export async function submitJob(document: JsonObject): Promise<{ id: string; warnings: Problem[] }> {
  const value = await request('POST', '/jobs', stringifyJson(document));
  return { id: String(value['id']), warnings: readProblems(value['warnings'], 'warning') };
}

export async function checkDocument(document: JsonObject, signal?: AbortSignal): Promise<Problem[]> {
  const value = await request('POST', '/check', stringifyJson(document), signal);
  return [...readProblems(value['problems'], 'error'), ...readProblems(value['warnings'], 'warning')];
}

export async function listJobs(
  options: { limit?: number; before?: string; state?: JobState } = {},
): Promise<{ jobs: Job[]; next: string | null }> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(options)) query.set(key, String(value));
  const value = await request('GET', `/jobs?${query}`);
  return { jobs: reply<Job[]>(value['jobs']), next: asText(value['next']) };
}

export async function getJob(id: string): Promise<Job> {
  return reply<Job>(await request('GET', `/jobs/${encodeURIComponent(id)}`));
}

export async function getJobWorkflow(id: string): Promise<JsonValue> {
  const value = await request('GET', `/jobs/${encodeURIComponent(id)}?include=workflow`);
  return value['workflow'] ?? null;
}

export async function cancelJob(id: string): Promise<void> {
  await request('DELETE', `/jobs/${encodeURIComponent(id)}`);
}

export async function getNodes(): Promise<{ specs: NodeSpec[]; widening: Widening; packs: PackReport[] }> {
  const value = await request('GET', '/nodes');
  const nodes = Array.isArray(value['nodes']) ? value['nodes'].filter(isObject) : [];
  return {
    specs: nodes.map(readNodeSpec),
    widening: readWidening(value['widening']),
    packs: reply<PackReport[]>(value['packs'] ?? []),
  };
}

export async function listTemplates(): Promise<Template[]> {
  return reply<Template[]>((await request('GET', '/workflows'))['workflows']);
}

export function getTemplate(name: string): Promise<JsonObject> {
  return request('GET', `/workflows/${encodeURIComponent(name)}`);
}

/** Asks the server for the workflow in a JSON, PNG or WebP file of any format it knows. */
export function readWorkflowFile(file: Blob): Promise<JsonObject> {
  return request('POST', '/workflows/read', file);
}

export async function uploadImage(file: File): Promise<InputImage> {
  const form = new FormData();
  form.set('image', file, file.name);
  return reply<InputImage>(await request('POST', '/inputs', form));
}

export async function listInputs(): Promise<InputImage[]> {
  return reply<InputImage[]>((await request('GET', '/inputs'))['inputs']);
}

export const thumbnailUrl = (type: OutputFile['type'], name: string, size = 256): string =>
  `${BASE}/thumbnails/${type}/${name.split('/').map(encodeURIComponent).join('/')}?size=${size}`;
