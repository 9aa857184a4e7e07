// Answers of Gradio's queue come by one stream, and the server closes it when nothing is under way any more. An event
// that joins just then would never be answered: the browser counts on the stream until it reads of the end, and opens
// no other for what joined before. So that end goes unread while an event waits, and the next stream takes its place.
(() => {
  const JOIN = "/gradio_api/queue/join", DATA = "/gradio_api/queue/data";
  const HEAD = /^data: \{"msg":"(\w+)","event_id":(?:"(\w+)"|null)/; // of a message
  const fetched = window.fetch.bind(window);
  const waiting = new Set(); // ids of events that joined and have no answer yet
  const early = new Set(); // ids that were answered before we heard that they joined
  let joining = 0;

  async function join(...asked) {
    joining += 1;
    try {
      const answer = await fetched(...asked);
      const id = answer.ok && (await answer.clone().json()).event_id;
      if (id && !early.delete(id)) waiting.add(id);
      return answer;
    } finally {
      joining -= 1;
    }
  }

  async function pass(answer, again, controller) {
    const encoder = new TextEncoder();
    while (true) {
      let rest = "", closed = false;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const messages = (rest + part.value).split("\n\n");
        rest = messages.pop();
        for (const message of messages) {
          const [, kind, id] = message.match(HEAD) ?? [];
          if (kind === "process_completed" && !waiting.delete(id)) early.add(id);
          if (kind === "close_stream" && (joining || waiting.size)) closed = true;
          else controller.enqueue(encoder.encode(`${message}\n\n`));
        }
      }
      if (!closed) break;
      answer = await again();
      if (!answer.ok) throw new Error(`The stream of answers ended with HTTP ${answer.status}.`);
    }
  }

  async function stream(...asked) {
    const again = () => fetched(...asked);
    const answer = await again();
    if (!answer.ok) return answer;
    const start = (controller) => {
      pass(answer, again, controller).then(() => controller.close()).catch((error) => {
        waiting.clear(); // Gradio gives them up, too
        controller.error(error);
      });
    };
    return new Response(new ReadableStream({ start }), { headers: answer.headers });
  }

  window.fetch = (resource, options) => {
    const { pathname } = new URL(resource.url ?? resource, location.href);
    const how = pathname.endsWith(JOIN) ? join : pathname.endsWith(DATA) ? stream : fetched;
    return how(resource, options);
  };
})();
