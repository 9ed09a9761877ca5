// The live connection: one WebSocket that comes back by itself, and asks for whatever it missed of the followed job.

import type { JobEvent } from '../core/run.ts';
import { decodePreview, type Preview } from './preview.ts';

export type EngineState = 'starting' | 'ready' | 'restarting' | 'failed' | 'stopped';

/** The device once it is known; what is wrong when something is, from servers that tell. */
interface EngineFacts {
  device: string | null;
  precision: string | null;
  message?: string | null;
}

export type ServerEvent =
  | ({
      type: 'hello';
      version: string;
      engine: EngineState;
      queue: { running: string[]; queued: string[] };
    } & EngineFacts)
  | ({ type: 'engine'; state: EngineState } & EngineFacts)
  | { type: 'queue'; running: string[]; queued: string[] }
  | { type: 'error'; error: { code: string; message: string } }
  | JobEvent;

export interface Listener {
  onOpen: () => void;
  onLost: () => void;
  onEvent: (event: ServerEvent) => void;
  onPreview: (preview: Preview) => void;
}

const FIRST_RETRY_MS = 400;
const LAST_RETRY_MS = 5000;

export class EventStream {
  private socket: WebSocket | null = null;
  private retry = FIRST_RETRY_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {
    this.open();
  }

  /** Asks for every event of the job after `since`; replayed events arrive like live ones. */
  subscribe(job: string, since: number): void {
    if (this.socket?.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify({ type: 'subscribe', job, since }));
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private open(): void {
    const socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    socket.onopen = () => {
      this.retry = FIRST_RETRY_MS;
      this.listener.onOpen();
    };
    socket.onmessage = (message: MessageEvent<unknown>) => this.receive(message.data);
    socket.onclose = () => {
      if (this.closed) return;
      this.listener.onLost();
      this.timer = setTimeout(() => this.open(), this.retry);
      this.retry = Math.min(this.retry * 1.7, LAST_RETRY_MS);
    };
  }

  private receive(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      const preview = decodePreview(data);
      if (preview) this.listener.onPreview(preview);
    } else if (typeof data === 'string') {
      this.listener.onEvent(JSON.parse(data) as ServerEvent);
    }
  }
}

export function eventsUrl(location: Location): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/events`;
}
