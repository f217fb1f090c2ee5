package interop_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/redistest"
)

// TestTwoServers: two processes of `issuer serve` with TLS certificates of their own on
// one PostgreSQL database and one Redis, behind a front that gives each the next request.
// `wallet-cli` obtains by a transaction code and by a claim code, and goes on when one of
// the processes is gone.
func TestTwoServers(t *testing.T) {
	owner, service := pgtest.New(t)
	redis := redistest.New(t)
	dir := t.TempDir()
	authority, cert, key := tlsCertificate(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(authority))
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}

	var served [2]atomic.Int64
	var backends [2]*url.URL
	var gone atomic.Bool // the first one
	var turn atomic.Int64
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}},
		Rewrite: func(p *httputil.ProxyRequest) {
			i := int(turn.Add(1) % 2)
			if gone.Load() {
				i = 1
			}
			served[i].Add(1)
			p.SetURL(backends[i])
			p.SetXForwarded()
			p.Out.Host = p.In.Host
		},
	})
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	front.StartTLS()
	t.Cleanup(front.Close)
	_, port, err := net.SplitHostPort(front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	o := &office{TB: t, dir: filepath.Join(dir, "office"), url: "https://localhost:" + port}
	o.issuer("init", o.dir, "--name", "Civil Registry", "--country", "XA", "--url", o.url, "--store", service, "--store-owner", owner)
	for name, text := range map[string]string{
		"people.csv":   "id,name,village\nREC0000001,Amina Osman,Kassala\nREC0000002,Juma Mwangi,Nyeri\nREC0000003,Rahim Uddin,Jessore\n",
		"licence.yaml": licence, "cert.pem": cert, "key.pem": key, "tls.pem": authority,
	} {
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join(o.dir, "issuer.yaml")
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("sources: {}\n"), []byte("sources:\n  people:\n    csv: people.csv\nserve:\n  any_client: true\n  tls_cert: cert.pem\n  tls_key: key.pem\n  redis: "+
		redis.URL()+"\n  proxies: [127.0.0.1/32]\n"), 1)
	if err := os.WriteFile(settings, b, 0o600); err != nil {
		t.Fatal(err)
	}
	o.issuer("programme", "add", "--dir", o.dir, filepath.Join(o.dir, "licence.yaml"))
	bundle := filepath.Join(dir, "office.trust")
	o.issuer("trust", "export", "--dir", o.dir, "--out", bundle)

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}, Timeout: time.Minute}
	var processes [2]*exec.Cmd
	for i := range processes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		if backends[i], err = url.Parse("https://localhost:" + port); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program(t, "issuer"), "serve", "--dir", o.dir, "--listen", "127.0.0.1:"+port)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		processes[i] = cmd
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("process %d said:\n%s", i, said.Bytes())
			}
		})
		for deadline := time.Now().Add(perCall); ; time.Sleep(50 * time.Millisecond) {
			if r, err := client.Get(backends[i].String() + "/healthz"); err == nil {
				_ = r.Body.Close()
				if r.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("process %d does not answer over TLS:\n%s", i, said.Bytes())
			}
		}
	}

	h := newHolder(t, filepath.Join(o.dir, "tls.pem"))
	_, said := h.run(2, "trust", "import", bundle)
	_, fingerprint, _ := strings.Cut(said, `--fingerprint "`)
	fingerprint, _, _ = strings.Cut(fingerprint, `"`)
	h.run(0, "trust", "import", "--fingerprint", fingerprint, bundle)
	accept := func(flag, record string) {
		t.Helper()
		made := o.offer(record, flag)
		code := filepath.Join(dir, record)
		if err := os.WriteFile(code, []byte(made.TxCode+made.ClaimCode), 0o600); err != nil {
			t.Fatal(err)
		}
		h.run(0, "accept", "--yes", flag+"-file", code, made.Offer)
	}
	accept("--tx-code", "REC0000001")
	accept("--claim-code", "REC0000002")
	for i := range served {
		if n := served[i].Load(); n < 5 {
			t.Errorf("process %d answered %d requests", i, n)
		}
	}
	if n := redis.Do(t, "DBSIZE"); n == ":0" {
		t.Error("Redis counted nothing")
	}
	_ = processes[0].Process.Kill()
	gone.Store(true)
	accept("--claim-code", "REC0000003")
	if printed, _ := h.run(0, "list"); strings.Count(printed, "\n") != 3 {
		t.Errorf("the wallet holds\n%s", printed)
	}
}
