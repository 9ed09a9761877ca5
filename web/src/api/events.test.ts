// Holds that the event stream comes back by itself and tells its listener.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EventStream, eventsUrl, type Listener } from './events.ts';

class FakeSocket {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  readyState = 0;
  binaryType = '';
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((message: { data: unknown }) => void) | null = null;

  constructor(readonly url: string) {
    FakeSocket.made.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.onclose?.();
  }

  open(): void {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }
}

const listener = (): { [K in keyof Listener]: ReturnType<typeof vi.fn<Listener[K]>> } => ({
  onOpen: vi.fn<Listener['onOpen']>(),
  onLost: vi.fn<Listener['onLost']>(),
  onEvent: vi.fn<Listener['onEvent']>(),
  onPreview: vi.fn<Listener['onPreview']>(),
});

const last = (): FakeSocket => {
  const socket = FakeSocket.made.at(-1);
  if (!socket) throw new Error('no socket was made');
  return socket;
};

beforeEach(() => {
  FakeSocket.made = [];
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', FakeSocket);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('events are handed on, and a subscription is sent once the socket is open', () => {
  const told = listener();
  const stream = new EventStream('ws://x', told);
  stream.subscribe('j', 3);
  expect(last().sent).toEqual([]);
  last().open();
  expect(told.onOpen).toHaveBeenCalledOnce();
  stream.subscribe('j', 3);
  expect(JSON.parse(last().sent[0] ?? '')).toEqual({ type: 'subscribe', job: 'j', since: 3 });
  last().onmessage?.({ data: '{"type":"queue","running":[],"queued":["a"]}' });
  expect(told.onEvent).toHaveBeenCalledWith({ type: 'queue', running: [], queued: ['a'] });
});

test('a lost connection is tried again, at growing intervals, until it is closed on purpose', () => {
  const told = listener();
  const stream = new EventStream('ws://x', told);
  last().close();
  expect(told.onLost).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(400);
  expect(FakeSocket.made).toHaveLength(2);
  last().close();
  vi.advanceTimersByTime(400);
  expect(FakeSocket.made).toHaveLength(2);
  vi.advanceTimersByTime(400);
  expect(FakeSocket.made).toHaveLength(3);
  stream.close();
  vi.advanceTimersByTime(60_000);
  expect(FakeSocket.made).toHaveLength(3);
});

test('the address follows the page', () => {
  expect(eventsUrl({ protocol: 'https:', host: 'a:1' } as Location)).toBe('wss://a:1/api/v1/events');
  expect(eventsUrl({ protocol: 'http:', host: 'a:1' } as Location)).toBe('ws://a:1/api/v1/events');
});
