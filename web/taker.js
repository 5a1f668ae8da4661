// Hands the microphone's samples to the page, block by block.
class Taker extends AudioWorkletProcessor {
  process([[channel]]) {
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
}

registerProcessor("taker", Taker);
