package google_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wakefuzz/internal/googletts"
	"wakefuzz/tts"
	"wakefuzz/tts/google"
)

// serveGoogle has a Google name lead to a server with TLS.
func serveGoogle(t *testing.T, name string) *googletts.Server {
	t.Helper()
	server := googletts.StartTLS(t, certificate)
	internet.route(t, name, server.Endpoint())
	return server
}

// writeJSON writes a credentials file and returns its path.
func writeJSON(t *testing.T, path string, value map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serviceAccount has the driver find the key file of a service account.
func serviceAccount(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", writeJSON(t, filepath.Join(t.TempDir(), "key.json"), map[string]string{
		"type":           "service_account",
		"project_id":     "wakewords",
		"private_key_id": "1",
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"client_email":   "fuzzer@wakewords.iam.gserviceaccount.com",
		"token_uri":      "https://oauth2.googleapis.com/token",
	}))
}

// user has the driver find what `gcloud auth application-default login` leaves,
// and the token server answer with a status and a body.
func user(t *testing.T, code int, body string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	writeJSON(t, filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"), map[string]string{
		"type":             "authorized_user",
		"client_id":        "id",
		"client_secret":    "secret",
		"refresh_token":    "refresh",
		"quota_project_id": "wakewords",
	})
	tokens := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.PostFormValue("refresh_token"); got != "refresh" {
			t.Errorf("refresh token %q", got)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}))
	tokens.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	tokens.StartTLS()
	t.Cleanup(tokens.Close)
	internet.route(t, "oauth2.googleapis.com:443", tokens.Listener.Addr().String())
}

const grant = `{"access_token":"open sesame","token_type":"Bearer","expires_in":3600}`

func TestServiceAccount(t *testing.T) {
	serviceAccount(t)
	for name, endpoint := range map[string]string{
		"texttospeech.googleapis.com:443":    "",
		"eu-texttospeech.googleapis.com:443": "eu-texttospeech.googleapis.com:443",
	} {
		t.Run(name, func(t *testing.T) {
			server := serveGoogle(t, name)
			s := open(t, google.Options{Endpoint: endpoint})
			if err := say(t.Context(), s, "alexa", voice); err != nil {
				t.Fatal(err)
			}
			if got := server.Stats().Authorized; got != 2 {
				t.Errorf("%d of 2 calls carried credentials", got)
			}
			server.Fail(1, googletts.Unauthenticated)
			checkError(t, say(t.Context(), s, "alexa", voice), tts.ErrCredentials, "set GOOGLE_APPLICATION_CREDENTIALS")
		})
	}
}

// An emulator's clips must never be taken for Google's.
func TestVersion(t *testing.T) {
	serviceAccount(t)
	usual, err := open(t, google.Options{}).Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	regional, err := open(t, google.Options{Endpoint: "eu-texttospeech.googleapis.com:443"}).Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	emulated, err := open(t, google.Options{Endpoint: "http://127.0.0.1:9"}).Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if usual != "google.cloud.texttospeech.v1" || regional != usual || emulated == usual {
		t.Errorf("versions: %q, regional %q, emulated %q", usual, regional, emulated)
	}
}

func TestUser(t *testing.T) {
	server := serveGoogle(t, "texttospeech.googleapis.com:443")
	user(t, http.StatusOK, grant)
	if err := say(t.Context(), open(t, google.Options{}), "alexa", voice); err != nil {
		t.Fatal(err)
	}
	if got := server.Stats(); got.Authorized != 2 {
		t.Errorf("%d of 2 calls carried credentials", got.Authorized)
	}
}

// A token that is refused ends a campaign; one that can't be fetched now does
// not.
func TestNoToken(t *testing.T) {
	for name, test := range map[string]struct {
		code  int
		body  string
		want  error
		words string
	}{
		"refused":      {http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`, tts.ErrCredentials, "expired or revoked"},
		"server down":  {http.StatusServiceUnavailable, `{"error":"unavailable"}`, tts.ErrUnavailable, "no access token"},
		"nobody there": {0, "", tts.ErrUnavailable, "no access token"},
	} {
		t.Run(name, func(t *testing.T) {
			server := serveGoogle(t, "texttospeech.googleapis.com:443")
			user(t, test.code, test.body)
			if test.code == 0 {
				internet.route(t, "oauth2.googleapis.com:443", "")
			}
			checkError(t, say(t.Context(), open(t, google.Options{}), "alexa", voice), test.want, test.words)
			if got := server.Stats(); got != (googletts.Stats{}) {
				t.Errorf("the service was called without a token: %+v", got)
			}
		})
	}
}

// The account of a machine of Google's, as its metadata server tells.
func TestMachine(t *testing.T) {
	server := serveGoogle(t, "texttospeech.googleapis.com:443")
	account := http.StatusNotFound
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		w.Header().Set("Connection", "close")
		w.WriteHeader(account)
		if strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = io.WriteString(w, grant)
		}
	}))
	t.Cleanup(metadata.Close)
	t.Setenv("GCE_METADATA_HOST", metadata.Listener.Addr().String())
	s := open(t, google.Options{})
	checkError(t, say(t.Context(), s, "alexa", voice), tts.ErrCredentials, "not defined")
	account = http.StatusOK
	if err := say(t.Context(), s, "alexa", voice); err != nil {
		t.Error(err)
	}
	if got := server.Stats().Authorized; got != 2 {
		t.Errorf("%d calls carried credentials, want 2", got)
	}
}

func TestNoCredentials(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "damaged.json")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ file, home, words string }{
		"none":         {"", t.TempDir(), "run `gcloud auth application-default login`"},
		"no home":      {"", "", "run `gcloud auth application-default login`"},
		"missing file": {"/nonexistent/key.json", "", "/nonexistent/key.json"},
		"damaged file": {damaged, "", "unexpected end of JSON input"},
		"not a key":    {writeJSON(t, filepath.Join(t.TempDir(), "x.json"), map[string]string{"type": "x"}), "", `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", test.file)
			t.Setenv("HOME", test.home)
			_, err := google.New(t.Context(), google.Options{})
			checkError(t, err, tts.ErrCredentials, test.words)
		})
	}
}

// The service can't be reached at all: the proxy refuses.
func TestNoWayToGoogle(t *testing.T) {
	serviceAccount(t)
	checkError(t, say(t.Context(), open(t, google.Options{}), "alexa", voice), tts.ErrUnavailable, "list the voices")
}

// A server that claims to be Google, with a certificate of somebody else's.
func TestFalseGoogle(t *testing.T) {
	serviceAccount(t)
	server := googletts.StartTLS(t, issue(filepath.Join(t.TempDir(), "untrusted.pem")))
	internet.route(t, "texttospeech.googleapis.com:443", server.Endpoint())
	checkError(t, say(t.Context(), open(t, google.Options{}), "alexa", voice), tts.ErrUnavailable, "certificate")
	if got := server.Stats(); got != (googletts.Stats{}) {
		t.Errorf("it was called: %+v", got)
	}
}
