// What a viewer's parser (dcmjs, of OHIF and Cornerstone) finds in DICOM results: one line of JSON a file.
// node tests/dicom/viewer.js FILE...; NODE_PATH names the folder that dcmjs is installed in.
const fs = require("fs");
const { BitArray, DicomMessage, DicomMetaDictionary } = require("dcmjs").data;

const list = (items) => (Array.isArray(items) ? items : items === undefined ? [] : [items]);
const bytes = (pixels) => new Uint8Array(list(pixels)[0]);
const walk = (item, visit) => {
  visit(item);
  for (const child of list(item.ContentSequence)) walk(child, visit);
};

for (const path of process.argv.slice(2)) {
  const content = fs.readFileSync(path);
  const file = DicomMessage.readFile(content.buffer.slice(content.byteOffset, content.byteOffset + content.length));
  const ds = DicomMetaDictionary.naturalizeDataset(file.dict);
  const found = { modality: ds.Modality, name: list(ds.PatientName)[0].Alphabetic, study: ds.StudyInstanceUID };
  if (ds.Modality === "SEG") {
    const bits = BitArray.unpack(list(ds.PixelData)[0]).map((bit) => (bit > 0 ? 1 : 0));
    found.frames = [ds.NumberOfFrames, ds.Rows, ds.Columns];
    found.pixels = Buffer.from(bits).toString("base64");
    found.labels = list(ds.SegmentSequence).map((segment) => segment.SegmentLabel);
  } else if (ds.Modality === "SR") {
    [found.outlines, found.measured] = [[], []];
    walk(ds, (item) => {
      if (item.GraphicType === "POLYLINE") found.outlines.push(list(item.GraphicData));
      for (const value of list(item.MeasuredValueSequence)) {
        const unit = list(value.MeasurementUnitsCodeSequence)[0].CodeValue;
        found.measured.push([list(item.ConceptNameCodeSequence)[0].CodeMeaning, Number(value.NumericValue), unit]);
      }
    });
  } else {
    found.frames = [ds.Rows, ds.Columns, ds.SamplesPerPixel];
    found.pixels = Buffer.from(bytes(ds.PixelData)).toString("base64");
  }
  console.log(JSON.stringify(found));
}
