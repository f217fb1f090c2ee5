package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestAnswer: what the verifier may answer, and what the shop makes of it. Only a valid
// proof of somebody over 18 is a yes, and only then is there a name.
func TestAnswer(t *testing.T) {
	valid := func(claims string) string {
		return `{"verdict":"valid","presentations":[{"credential":"card","claims":[` + claims + `]}]}`
	}
	name, over := `{"path":["full_name"],"value":"Nasrin"}`, `{"path":["age_over_18"],"value":true}`
	for what, tt := range map[string]struct {
		result string
		want   answer
	}{
		"over 18":                     {valid(name + "," + over), answer{Over18: true, Name: "Nasrin"}},
		"over 18, without a name":     {valid(over), answer{Over18: true}},
		"under 18":                    {valid(name + `,{"path":["age_over_18"],"value":false}`), answer{Why: "under_18"}},
		"no word of the age":          {valid(name), answer{Why: "under_18"}},
		"an age that is a text":       {valid(name + `,{"path":["age_over_18"],"value":"true"}`), answer{Why: "under_18"}},
		"the age of somebody else":    {valid(name + `,{"path":["child","age_over_18"],"value":true}`), answer{Why: "under_18"}},
		"nothing":                     {`{"verdict":"valid","presentations":[]}`, answer{Why: "under_18"}},
		"a check is needed":           {strings.Replace(valid(name+","+over), `"valid"`, `"check_needed"`, 1), answer{Why: "not_valid"}},
		"invalid":                     {`{"verdict":"invalid"}`, answer{Why: "not_valid"}},
		"undetermined":                {`{"verdict":"undetermined"}`, answer{Why: "not_valid"}},
		"refused":                     {`{"verdict":"undetermined","refused":"access_denied"}`, answer{Why: "refused"}},
		"a verdict of another spring": {`{"verdict":"genuine"}`, answer{Why: "not_valid"}},
	} {
		var r result
		if err := json.Unmarshal([]byte(tt.result), &r); err != nil {
			t.Fatal(err)
		}
		if got := *r.answer(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", what, got, tt.want)
		}
	}
	if got := *(*result)(nil).answer(); got != (answer{Why: "not_valid"}) {
		t.Errorf("no result: %+v", got)
	}
}

// TestKeyStaysHere: neither the key nor the id of a request reaches a browser, whatever
// the verifier answers, and other websites ask nothing.
func TestKeyStaysHere(t *testing.T) {
	answers := map[string]string{"POST /requests": `{"id":"SECRET-ID","link":"openid4vp://x","qr":"data:image/png;base64,"}`}
	status := http.StatusCreated
	verifier := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer SECRET-KEY" {
			t.Errorf("%s without the key", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answers[r.Method+" "+r.URL.Path]))
	}))
	defer verifier.Close()
	s := newShop("http://shop.example", verifier.URL, "SECRET-KEY", "age")
	h := s.handler()
	call := func(method, path string, cookie *http.Cookie, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		if cookie != nil {
			r.AddCookie(cookie)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for name, values := range w.Header() {
			if strings.Contains(strings.Join(values, " "), "SECRET") {
				t.Errorf("%s: the header %s has a secret", path, name)
			}
		}
		if strings.Contains(w.Body.String(), "SECRET") {
			t.Errorf("%s: the answer has a secret: %s", path, w.Body)
		}
		return w
	}
	if w := call("POST", "/ask?device=other", nil, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("another website asks: %d", w.Code)
	}
	w := call("POST", "/ask?device=other", nil, "Sec-Fetch-Site", "same-origin")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "openid4vp://x") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	cookie := w.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie: %+v", cookie)
	}
	answers["GET /requests/SECRET-ID"] = `{"status":"waiting"}`
	status = http.StatusOK
	if w := call("GET", "/state", cookie); !strings.Contains(w.Body.String(), "waiting") {
		t.Errorf("%s", w.Body)
	}
	if w := call("GET", "/state", &http.Cookie{Name: cookieName, Value: "another"}); !strings.Contains(w.Body.String(), `"none"`) {
		t.Errorf("another browser: %s", w.Body)
	}
	status = http.StatusInternalServerError
	answers["GET /requests/SECRET-ID"] = `{"code":"x","detail":"SECRET"}`
	if w := call("GET", "/state", cookie); w.Code != http.StatusBadGateway {
		t.Errorf("the verifier fails: %d", w.Code)
	}
}
