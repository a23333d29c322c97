package google

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wakefuzz/tts"
)

// slack is how far the service's clock and ours may part in a single call. It
// only decides whose deadline it was, where both have one.
const slack = time.Second

// explain turns what a call failed with into what to do about it: one of the
// errors of package tts, or the error of ctx where that is what ended the call.
func (s *Synthesizer) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	st := status.Convert(err)
	message := strings.Join(strings.Fields(st.Message()), " ") // on one line
	switch st.Code() {
	case codes.Unauthenticated:
		return fmt.Errorf("%w: %s; %s", tts.ErrCredentials, message, logIn)
	case codes.PermissionDenied:
		return fmt.Errorf("%w: %s; %s", tts.ErrCredentials, message, permit(err))
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %s", tts.ErrQuota, message)
	case codes.InvalidArgument:
		// The voice is a listed one, so the text is to blame, unless the
		// service says that the voice lacks what was asked of it.
		if strings.Contains(message, "This voice ") {
			return fmt.Errorf("%w: %s", tts.ErrVoice, message)
		}
		return fmt.Errorf("%w: %s", tts.ErrUnspeakable, message)
	case codes.DeadlineExceeded:
		// The service is told the deadline, and may be the first to miss it.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < slack {
			return context.DeadlineExceeded
		}
		return fmt.Errorf("%w: no answer within %v", tts.ErrUnavailable, s.timeout)
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.Aborted, codes.Canceled:
		return fmt.Errorf("%w: %s", tts.ErrUnavailable, message)
	default:
		return fmt.Errorf("unexpected answer: %w", err)
	}
}

const (
	logIn     = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account"
	enableAPI = "run `gcloud services enable texttospeech.googleapis.com`"
)

// permit says how to lift a refusal.
func permit(err error) string {
	refusal, ok := apierror.FromError(err)
	if !ok {
		return enableAPI
	}
	project := ""
	if consumer, ok := strings.CutPrefix(refusal.Metadata()["consumer"], "projects/"); ok {
		project = " of project " + consumer
	}
	switch reason := refusal.Reason(); reason {
	case "SERVICE_DISABLED":
		return "the Text-to-Speech API" + project + " is off: " + enableAPI +
			", or choose another project with `gcloud auth application-default set-quota-project`"
	case "BILLING_DISABLED":
		return "link a billing account" + project + " in the Google Cloud console"
	default:
		return "the account may not use the Text-to-Speech API" + project + ": " + enableAPI + ", or use another account"
	}
}
