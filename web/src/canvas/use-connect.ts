// Drawing links: what may be joined, what happens when a link is dropped on empty canvas or on a node, and pulling an
// existing link off its port.

import type { Connection, Edge, FinalConnectionState, HandleType, OnConnectStartParams } from '@xyflow/react';
import { useMemo, useRef } from 'react';
import { connect, disconnect } from '../core/edit.ts';
import { type Endpoints, type LooseEnd, type Refusal, refusal } from '../core/types.ts';
import { t, typeName } from '../i18n/index.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useConnecting } from '../state/connecting.ts';
import { type FlowEdge, inputName, outputIndex } from '../state/flow.ts';
import { useGraph } from '../state/graph.ts';
import { toast, useUi } from '../state/ui.ts';
import { connectToNode, connectToRow, looseEnd, titleOf } from './loose-end.ts';

function endpoints(connection: Connection | Edge): Endpoints {
  return {
    source: connection.source,
    output: outputIndex(connection.sourceHandle ?? ''),
    target: connection.target,
    input: inputName(connection.targetHandle ?? ''),
  };
}

export const whyNot = (ends: Endpoints): Refusal | null =>
  refusal(useGraph.getState().doc, catalogueNow(), ends);

export const refusalText = (why: Refusal): string => t(`link.${why.reason}`, { ...why });

/** The ends of a link that is being drawn, whichever side it started from. */
export function drawnEndpoints(state: {
  fromHandle: { nodeId: string; id?: string | null; type: HandleType } | null;
  toHandle: { nodeId: string; id?: string | null; type: HandleType } | null;
}): Endpoints | null {
  const { fromHandle: from, toHandle: to } = state;
  if (!from || !to || from.type === to.type) return null;
  const [source, target] = from.type === 'source' ? [from, to] : [to, from];
  return {
    source: source.nodeId,
    output: outputIndex(source.id ?? ''),
    target: target.nodeId,
    input: inputName(target.id ?? ''),
  };
}

const pointer = (event: MouseEvent | TouchEvent): { x: number; y: number } => {
  const point = 'changedTouches' in event ? event.changedTouches[0] : event;
  return { x: point?.clientX ?? 0, y: point?.clientY ?? 0 };
};

function dropped(event: MouseEvent | TouchEvent, loose: LooseEnd): void {
  const { x, y } = pointer(event);
  const under = document.elementFromPoint(x, y);
  const id = under?.closest('.react-flow__node-card')?.getAttribute('data-id');
  if (id) {
    const handle = under?.closest('.row')?.querySelector('[data-handleid]')?.getAttribute('data-handleid');
    if (id === loose.node || connectToRow(loose, id, handle ?? '') || connectToNode(loose, id)) return;
    toast('error', t('link.noPort', { node: titleOf(id), type: typeName(loose.type) }));
    return;
  }
  useUi.setState({ palette: { x, y, loose } });
}

export function useConnect() {
  const reconnected = useRef(false);
  return useMemo(
    () => ({
      isValidConnection: (connection: Connection | Edge) => whyNot(endpoints(connection)) === null,

      onConnect: (connection: Connection) => {
        const ends = endpoints(connection);
        useGraph.getState().edit((doc) => connect(doc, ends));
      },

      onConnectStart: (_event: MouseEvent | TouchEvent, params: OnConnectStartParams) => {
        if (!params.nodeId || !params.handleId) return;
        const end =
          params.handleType === 'target'
            ? looseEnd(params.nodeId, 'input', inputName(params.handleId))
            : looseEnd(params.nodeId, 'output', outputIndex(params.handleId));
        useConnecting.setState({ end });
      },

      onConnectEnd: (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
        const { end } = useConnecting.getState();
        useConnecting.setState({ end: null });
        if (!end || state.isValid) return;
        const ends = drawnEndpoints(state);
        const why = ends && whyNot(ends);
        if (why) toast('error', refusalText(why));
        else if (!state.toHandle) dropped(event, end);
      },

      onReconnectStart: () => {
        reconnected.current = false;
      },
      onReconnect: (edge: FlowEdge, connection: Connection) => {
        reconnected.current = true;
        const old = endpoints(edge);
        useGraph
          .getState()
          .edit((doc) => connect(disconnect(doc, old.target, old.input), endpoints(connection)));
      },
      onReconnectEnd: (
        _event: MouseEvent | TouchEvent,
        edge: FlowEdge,
        _type: HandleType,
        state: FinalConnectionState,
      ) => {
        if (reconnected.current || state.toHandle) return;
        const old = endpoints(edge);
        useGraph.getState().edit((doc) => disconnect(doc, old.target, old.input));
      },
    }),
    [],
  );
}
