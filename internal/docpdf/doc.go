// Package docpdf prints certificates: PDF files (ISO 32000-1) with shaped text in every
// script that its fonts cover, and QR codes as vector rectangles.
//
// Start with [New], whose [Printer] is used by all; [Printer.Render] prints one
// certificate, [Printer.Document] thousands into one file, in memory for a few pages. A
// [Certificate] is what is printed; [Fill] makes one from the codes that were signed, so
// that the paper says what they say and nothing else. A [Layout] says where things
// stand: it is a file of data, [Layouts] names those of the program, [ParseLayout] reads
// others.
//
// [Printer.Report] prints an account with tables and charts, such as that of a pilot.
//
// Package fpdf writes pages, fonts and images. Shaping is that of go-text/typesetting,
// the order of mixed directions UAX #9. A character that no font has is printed as a box;
// a text that is too long ends in an ellipsis; both are reported as [Note]. A code that
// would be printed too small to be read is an error ([ErrTooDense]).
//
// The same certificate gives the same bytes: dates in the file are those of the
// certificate. Text can be searched and copied, and titles, paragraphs and pictures are
// tagged for screen readers.
//
// Left to others: what a certificate says and whether it was issued (package issuance),
// reading codes back (qr/image), and paper: nothing here talks to a printer.
//
// Limits, applied before anything is drawn: 64 claims of 600 characters each, 4 codes,
// layouts of 64 kB with 100 blocks on 4 pages.
package docpdf
