package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPage runs the examples of docs/verifier-api.md in their order, with a wallet that
// answers in between.
func TestPage(t *testing.T) {
	l := newLibrary(t)
	page := string(must[[]byte](t)(os.ReadFile("../../docs/verifier-api.md")))
	blocks := regexp.MustCompile("(?s)```(sh|yaml)\n(.*?)```").FindAllStringSubmatch(page, -1)
	l.prepare(t)
	for _, b := range blocks {
		if b[1] != "yaml" {
			continue
		}
		id := regexp.MustCompile(`(?m)^policy: (\w+)`).FindStringSubmatch(b[2])[1]
		if err := os.WriteFile(l.path("library/policies/"+id+".yaml"), []byte(strings.ReplaceAll(b[2], "urn:xa:farmer:1", farmer)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.serve(t)
	vars := map[string]string{"VERIFIER": l.priv, "PUBLIC": l.public, "KEY": "none"}
	issued := strings.TrimSpace(string(l.files["issued.sdjwt"]))
	ran := 0
	for _, b := range blocks {
		if b[1] == "yaml" {
			continue
		}
		comment, command, _ := strings.Cut(b[2], "\n")
		var status int
		var members []string
		if m := regexp.MustCompile(`^# answers (\d+) with (.*)$`).FindStringSubmatch(comment); m != nil {
			status, members = int(m[1][0]-'0')*100+int(m[1][2]-'0'), strings.Split(m[2], ", ")
		} else {
			t.Fatalf("an example does not say what it answers: %s", comment)
		}
		body := l.curl(t, command, vars, status)
		for _, name := range members {
			if !strings.Contains(body, `"`+name+`":`) {
				t.Errorf("%s\nanswers without %s: %s", command, name, body)
			}
		}
		var made struct{ ID, Link string }
		if json.Unmarshal([]byte(body), &made) == nil && made.Link != "" {
			vars["ID"] = made.ID
			if redirect := l.wallet(t, made.Link, issued); redirect != "" {
				vars["CODE"] = must[*url.URL](t)(url.Parse(redirect)).Query().Get("response_code")
			}
		}
		ran++
	}
	// The command takes the same list.
	list := l.path("loan.json")
	for content, want := range map[string]string{
		`[{"type": "https://library.example/loan", "fields": {"book": "Gora", "until": "2027-01-02"}}]`: "",
		`[{"type": "https://library.example/loan", "fields": {"book": "Gora"}}]`:                        "400 transaction_data",
		`book: Gora`: "is not JSON",
	} {
		if err := os.WriteFile(list, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, talk := l.run(t, "request", "loan", "--server", l.priv, "--transaction-data", list, "--no-wait")
		if (status == 0) != (want == "") || !strings.Contains(talk, want) || want == "" && !strings.HasPrefix(out, "openid4vp://") {
			t.Errorf("request with %s: %d\n%s%s", content, status, out, talk)
		}
	}
	if ran != strings.Count(page, "curl -s") || ran < 9 {
		t.Errorf("%d examples were run", ran)
	}
}

// curl does what curl would do with the few flags that the page uses.
func (l *library) curl(t *testing.T, command string, vars map[string]string, status int) string {
	t.Helper()
	words := split(t, strings.ReplaceAll(command, "\\\n", " "), vars)
	if words[0] != "curl" {
		t.Fatalf("not curl: %s", command)
	}
	method, address, header := http.MethodGet, "", http.Header{}
	var content []byte
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-s", "-sN":
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			method, content = http.MethodPost, []byte(words[i])
		case "--data-binary":
			i++
			method, content = http.MethodPost, l.files[strings.TrimPrefix(words[i], "@")]
		case "-F":
			i++
			name, file, _ := strings.Cut(words[i], "=@")
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			part := must[io.Writer](t)(w.CreateFormFile(name, file))
			if _, err := part.Write(l.files[file]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			method, content = http.MethodPost, b.Bytes()
			header.Set("Content-Type", w.FormDataContentType())
		default:
			address = words[i]
		}
	}
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(content)))
	r.Header = header
	res := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer res.Body.Close()
	body := must[[]byte](t)(io.ReadAll(res.Body))
	if res.StatusCode != status {
		t.Fatalf("%s\nanswers %d %s, want %d", command, res.StatusCode, body, status)
	}
	return string(body)
}

// split takes a line apart as a shell does: quotes and variables.
func split(t *testing.T, line string, vars map[string]string) []string {
	t.Helper()
	var words []string
	word, in, quote := "", false, byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != '\'' && c == '$':
			name := regexp.MustCompile(`^[A-Z]+`).FindString(line[i+1:])
			value, ok := vars[name]
			if !ok {
				t.Fatalf("$%s is not set", name)
			}
			word, in, i = word+value, true, i+len(name)
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\n'):
			if in {
				words = append(words, word)
			}
			word, in = "", false
		default:
			word, in = word+string(c), true
		}
	}
	if in {
		words = append(words, word)
	}
	return words
}
