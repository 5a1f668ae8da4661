// A sound file or the microphone, heard by a .tflite of the zoo through MediaPipe, as the zoo's runtime hears it: in
// windows that overlap, quiet ones left out where others are not.
import { AudioClassifier, FilesetResolver } from "./audio_bundle.mjs";

const HEARD_S = 2; // of the microphone: how much of the last sound is heard at once
const EVERY_MS = 500;
const HOP_S = 0.25;
const QUIET = 10 ** (-60 / 20); // RMS of a window

const { model, rate, samples } = document.getElementById("page").dataset;
const [sampleRate, windowSamples] = [rate, samples].map(Number);
const [drop, file, microphone, state, scores] = ["drop", "file", "microphone", "state", "scores"].map((id) =>
  document.getElementById(id),
);

const files = await FilesetResolver.forAudioTasks("wasm");
const classifier = await AudioClassifier.createFromModelPath(files, model);
state.textContent = "Ready.";
microphone.disabled = false;

file.addEventListener("change", () => file.files.length && hear(file.files[0]));
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) hear(event.dataTransfer.files[0]);
});
microphone.addEventListener("click", listen);

async function hear(sound) {
  state.textContent = `${sound.name} is being heard.`;
  try {
    const context = new OfflineAudioContext(1, 1, sampleRate); // decodes at the model's rate
    show(mono(await context.decodeAudioData(await sound.arrayBuffer())));
    state.textContent = sound.name;
  } catch (error) {
    state.textContent = `${sound.name}: ${error.message}`;
    scores.replaceChildren();
  }
}

async function listen() {
  microphone.disabled = true;
  try {
    const settings = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }; // made for speech
    const stream = await navigator.mediaDevices.getUserMedia({ audio: settings });
    const context = new AudioContext({ sampleRate });
    await context.audioWorklet.addModule("taker.js");
    const taker = new AudioWorkletNode(context, "taker");
    const last = new Float32Array(HEARD_S * sampleRate);
    taker.port.onmessage = ({ data }) => {
      last.copyWithin(0, data.length);
      last.set(data, last.length - data.length);
    };
    context.createMediaStreamSource(stream).connect(taker);
    state.textContent = "Listening.";
    setInterval(() => show(last), EVERY_MS);
  } catch (error) {
    state.textContent = `The microphone: ${error.message}`;
    microphone.disabled = false;
  }
}

function mono(buffer) {
  const sum = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    buffer.getChannelData(channel).forEach((sample, i) => (sum[i] += sample / buffer.numberOfChannels));
  }
  return sum;
}

function windowsOf(waveform) {
  const windows = [];
  const last = Math.max(0, waveform.length - windowSamples);
  for (let start = 0; start < last; start += HOP_S * sampleRate) windows.push(start);
  return [...windows, last].map((start) => waveform.subarray(start, start + windowSamples));
}

const isLoud = (window) => Math.sqrt(window.reduce((sum, sample) => sum + sample * sample, 0) / window.length) > QUIET;

// Each label's mean over the windows, the highest first. What a model with thresholds refuses has no score.
function show(waveform) {
  const means = new Map();
  const windows = windowsOf(waveform);
  const heard = windows.some(isLoud) ? windows.filter(isLoud) : windows;
  for (const window of heard) {
    const [{ classifications }] = classifier.classify(window, sampleRate);
    for (const { categoryName, score } of classifications[0].categories) {
      means.set(categoryName, (means.get(categoryName) ?? 0) + score / heard.length);
    }
  }
  const rows = [...means].filter(([, score]) => score > 0).sort(([, one], [, other]) => other - one).slice(0, 5);
  scores.replaceChildren(...(rows.length ? rows.map(([label, score]) => row(label, score)) : [none()]));
}

function none() {
  const item = Object.assign(document.createElement("li"), { textContent: "none of its sounds" });
  item.dataset.label = "";
  return item;
}

function row(label, score) {
  const item = document.createElement("li");
  const meter = Object.assign(document.createElement("meter"), { value: score, title: label });
  const [name, share] = [label.replaceAll("_", " "), `${Math.round(100 * score)} %`].map((text) =>
    Object.assign(document.createElement("span"), { textContent: text }),
  );
  item.dataset.label = label;
  item.append(name, meter, share);
  return item;
}
