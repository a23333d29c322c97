package google

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	texttospeech "cloud.google.com/go/texttospeech/apiv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wakefuzz/tts"
)

// findCredentials returns the application default credentials.
func findCredentials() (*auth.Credentials, error) {
	// Google's library, when it finds no file, looks for Google's own machines
	// on the network. That takes seconds, and packets that nobody expects on a
	// bench whose network is watched.
	if !hasFile() && !onGoogle() {
		return nil, fmt.Errorf("google: %w: there are no application default credentials; %s", tts.ErrCredentials, logIn)
	}
	found, err := credentials.DetectDefault(&credentials.DetectOptions{
		Scopes:           texttospeech.DefaultAuthScopes(),
		UseSelfSignedJWT: true, // as the client would: a service account needs no token server
	})
	if err != nil {
		return nil, fmt.Errorf("google: %w: %w; %s", tts.ErrCredentials, err, logIn)
	}
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider:          tokens{found.TokenProvider},
		JSON:                   found.JSON(),
		ProjectIDProvider:      auth.CredentialsPropertyFunc(found.ProjectID),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(found.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(found.UniverseDomain),
	}), nil
}

// hasFile says whether credentials are in one of the two usual files. A file
// that was named counts, even where it is missing: its error says more.
func hasFile() bool {
	if os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "" {
		return true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"))
	return err == nil
}

// onGoogle says whether this machine has an account of its own.
func onGoogle() bool {
	if os.Getenv("GCE_METADATA_HOST") != "" {
		return true
	}
	product, err := os.ReadFile("/sys/class/dmi/id/product_name")
	return err == nil && strings.HasPrefix(string(product), "Google")
}

// tokens tells a token that was refused from one that could not be fetched. The
// client reports both as unauthenticated, and only keeps the words.
type tokens struct{ auth.TokenProvider }

func (t tokens) Token(ctx context.Context) (*auth.Token, error) {
	token, err := t.TokenProvider.Token(ctx)
	if err == nil {
		return token, nil
	}
	code := codes.Unauthenticated
	var transport *url.Error
	var answer *auth.Error
	if errors.As(err, &transport) || errors.As(err, &answer) && answer.Temporary() {
		code = codes.Unavailable
	}
	return nil, status.Errorf(code, "no access token: %v", err)
}
