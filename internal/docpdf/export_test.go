package docpdf

// LineWidth is how wide a text is, in sizes of its font, and of how many glyphs.
func LineWidth(text, lang string) (width float64, glyphs int) {
	t := newTypesetter(builtIn())
	for _, l := range t.wrap(t.shape(text, lang, byText), 1e6) {
		width += l.width / em
		for _, r := range l.runs {
			glyphs += len(r.Glyphs)
		}
	}
	return width, glyphs
}

// FontFile is a font of the program.
func FontFile(name string) []byte {
	b, err := embedded.ReadFile("fonts/" + name + ".ttf")
	if err != nil {
		panic(err)
	}
	return b
}

const PartPages = partPages
