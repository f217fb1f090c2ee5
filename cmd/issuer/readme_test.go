package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme does what the README tells a newcomer to do, with its own texts: the
// CSV file, the programme, and every issuer command, in a new directory.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?m)^ *```(\\w*)\n((?s:.*?))^ *```$").FindAllStringSubmatch(string(b), -1)
	dedent := func(s string) string {
		indent := len(s) - len(strings.TrimLeft(s, " "))
		return regexp.MustCompile(`(?m)^ {`+string(rune('0'+indent))+`}`).ReplaceAllString(s, "")
	}
	dir := buildVerifier(t)
	t.Chdir(t.TempDir())
	var commands []string
	for _, block := range blocks {
		text := dedent(block[2])
		switch {
		case strings.HasPrefix(text, "No;Name"):
			write(t, "pupils.csv", text)
		case block[1] == "yaml":
			write(t, "pupil-card.yaml", text)
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "issuer ") {
				commands = append(commands, strings.TrimSpace(line))
			}
		}
	}
	if len(commands) < 7 {
		t.Fatalf("%d issuer commands in the README, want at least 7", len(commands))
	}
	id := ""
	for _, c := range commands {
		var stdout, stderr bytes.Buffer
		args := words(strings.ReplaceAll(c, "CREDENTIAL_ID", id))[1:]
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
			t.Fatalf("%s: exit status %d\n%s%s", c, code, &stdout, &stderr)
		}
		if id == "" {
			if found, _ := filepath.Glob("cards/*.png"); len(found) > 0 {
				if len(found) != 2 {
					t.Fatalf("%d codes for two pupils", len(found))
				}
				id = strings.TrimSuffix(filepath.Base(found[0]), ".png")
			}
		}
	}
	if out := verify(t, dir, 20, "cards/"+id+".png"); !strings.Contains(out, "Do not accept") {
		t.Errorf("the revoked card:\n%s", out)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// words splits a command line at blanks outside of double quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}
