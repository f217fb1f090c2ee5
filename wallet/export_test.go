package wallet

// LabelsOf is labelsOf.
var LabelsOf = labelsOf
