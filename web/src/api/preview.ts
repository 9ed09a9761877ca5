// Binary frames of the event stream: a big-endian length, a JSON header of that length, then a JPEG.

export interface Preview {
  job: string;
  node: string;
  done: number;
  total: number;
  width: number;
  height: number;
  jpeg: Blob;
}

/** Null for frames of a kind this editor does not know. Throws on a frame that is cut short. */
export function decodePreview(frame: ArrayBuffer): Preview | null {
  const length = new DataView(frame).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length))) as Omit<
    Preview,
    'jpeg'
  > & {
    type: string;
  };
  if (header.type !== 'node_preview') return null;
  const { job, node, done, total, width, height } = header;
  return {
    job,
    node,
    done,
    total,
    width,
    height,
    jpeg: new Blob([frame.slice(4 + length)], { type: 'image/jpeg' }),
  };
}
