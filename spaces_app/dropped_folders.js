// A folder that a visitor drops becomes a zip in the browser, and goes the way of every zip: browsers hand over what lies in
// it file by file, and Gradio would lose which class each is of. Not compressed, for pictures are already.
() => {
  const MOST_FILES = 65000;  // that a zip's plain list has room for
  const LARGEST_BYTES = 2e9;  // the page refuses more by its size: it is not read for nothing
  const table = Uint32Array.from({length: 256}, (_, byte) => {
    for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
    return byte;
  });
  const checksum = bytes => {
    let crc = -1;
    for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
    return ~crc >>> 0;
  };
  const numbers = (...pairs) => {  // little-endian, each with its number of bytes
    const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [, size]) => sum + size, 0)));
    let at = 0;
    for (const [value, size] of pairs) {
      size == 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
      at += size;
    }
    return view.buffer;
  };
  const filesOf = async (entry, path, found) => {
    if (found.length > MOST_FILES) return;
    if (entry.isFile) {
      found.push([path + entry.name, await new Promise((give, fail) => entry.file(give, fail))]);
      return;
    }
    const reader = entry.createReader();
    while (true) {
      const some = await new Promise((give, fail) => reader.readEntries(give, fail));
      if (!some.length) return;
      for (const inner of some) await filesOf(inner, path + entry.name + "/", found);
    }
  };
  const zipOf = async (files) => {
    const parts = [], list = [], total = files.reduce((sum, [, file]) => sum + file.size, 0);
    let at = 0;
    for (const [path, file] of files) {
      const name = new TextEncoder().encode(path);
      const crc = total > LARGEST_BYTES ? 0 : checksum(new Uint8Array(await file.arrayBuffer()));
      // Version 2.0, names in UTF-8, stored, the first of January 1980.
      const facts = [[20, 2], [0x800, 2], [0, 2], [0, 2], [33, 2], [crc, 4], [file.size, 4], [file.size, 4],
        [name.length, 2], [0, 2]];
      parts.push(numbers([0x04034b50, 4], ...facts), name, file);
      list.push(numbers([0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]), name);
      at += 30 + name.length + file.size;
    }
    const length = list.reduce((sum, part) => sum + part.byteLength, 0);
    const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [length, 4], [at, 4],
      [0, 2]);
    return new Blob([...parts, ...list, end], {type: "application/zip"});
  };
  document.addEventListener("drop", async event => {
    const box = event.target.closest?.("#upload"), input = box?.querySelector("input[type=file]");
    const entries = [...event.dataTransfer?.items ?? []].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!input || !entries.some(entry => entry.isDirectory)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", {bubbles: true}));
    for (const earlier of document.querySelectorAll("#upload + .lead-problem")) earlier.remove();
    const files = [];
    try {
      for (const entry of entries) await filesOf(entry, "", files);
      if (files.length > MOST_FILES) throw new Error("more than " + MOST_FILES + " files");
      const chosen = new DataTransfer(), name = entries.length == 1 ? entries[0].name : "images";
      chosen.items.add(new File([await zipOf(files)], name + ".zip", {type: "application/zip"}));
      input.files = chosen.files;
      input.dispatchEvent(new Event("change", {bubbles: true}));
    } catch (error) {
      const told = Object.assign(document.createElement("p"), {className: "lead-problem", role: "alert"});
      told.textContent = `The folder must be readable here, found ${error.message}: pack it as a zip and choose that.`;
      box.after(told);
    }
  }, true);
}
