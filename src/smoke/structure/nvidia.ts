/**
 * What the NVIDIA runtime puts into a container when it starts: libraries and programs that belong to the driver of the machine. An image is right
 * not to have them, and only a start with a GPU would show whether they are there.
 */
const LIBRARIES =
  /^lib(?:cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[\w-]+|nv(?:rm|os|sci|media)[\w-]*|(?:GLX|EGL|GLESv1_CM|GLESv2|vdpau)_nvidia)\.so(?:\.|$)/;

const PROGRAMS: ReadonlySet<string> = new Set([
  'nvidia-smi',
  'nvidia-debugdump',
  'nvidia-persistenced',
  'nvidia-cuda-mps-control',
  'nvidia-cuda-mps-server',
  'nv-fabricmanager',
]);

/** Whether the driver brings a library of this name, such as `libcuda.so.1`. */
export function isDriverLibrary(name: string): boolean {
  return LIBRARIES.test(name);
}

/** Whether the driver brings the program of a command's first word, such as `nvidia-smi`: a name, or its path below /usr/bin. */
export function isDriverProgram(word: string): boolean {
  return PROGRAMS.has(word.replace(/^\/usr\/bin\//, ''));
}
