package wyoming

import "fmt"

// The types of events that are sent and received here.
const (
	TypeDescribe    = "describe"     // what do you offer?
	TypeInfo        = "info"         // the answer: Info
	TypeDetect      = "detect"       // listen for wake words: Detect
	TypeDetection   = "detection"    // one was heard: Detection
	TypeNotDetected = "not-detected" // none was heard until audio-stop
	TypeSynthesize  = "synthesize"   // speak: Synthesize
	TypeAudioStart  = "audio-start"  // sound begins: Audio
	TypeAudioChunk  = "audio-chunk"  // a piece of it, the payload: Audio
	TypeAudioStop   = "audio-stop"   // sound ends
	TypeError       = "error"        // the server could not: Error
)

// Info says what a server offers.
type Info struct {
	Wake []Program `json:"wake"`
	TTS  []Program `json:"tts"`
}

// Program is an engine that a server runs.
type Program struct {
	Name string `json:"name"`
	// Version is the program's, or empty where the server does not tell.
	Version string `json:"version"`
	// Models are its wake words, or Voices its voices.
	Models []Model `json:"models,omitempty"`
	Voices []Model `json:"voices,omitempty"`
}

// Model is a wake word's model or a voice.
type Model struct {
	// Name is unique in the program.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Installed says whether it can be used now.
	Installed bool `json:"installed"`
	// Speakers are those of a voice that has several.
	Speakers []Speaker `json:"speakers,omitempty"`
}

// Speaker is one of a voice's speakers.
type Speaker struct {
	Name string `json:"name"`
}

// Detect asks for wake words by name.
type Detect struct {
	Names []string `json:"names"`
}

// Detection says that a wake word was heard.
type Detection struct {
	// Name is the wake word's, or empty where the server does not tell.
	Name string `json:"name"`
	// Timestamp is that of the chunk in which it was heard, or nil.
	Timestamp *int64 `json:"timestamp"`
}

// Audio is the format of sound: PCM of so many samples a second, bytes a sample
// and channels.
type Audio struct {
	Rate     int `json:"rate"`
	Width    int `json:"width"`
	Channels int `json:"channels"`
	// Timestamp is the sender's own, in milliseconds, or nil.
	Timestamp *int64 `json:"timestamp,omitempty"`
}

// Synthesize asks for a text to be spoken.
type Synthesize struct {
	Text  string `json:"text"`
	Voice Voice  `json:"voice"`
}

// Voice is by whom.
type Voice struct {
	Name    string `json:"name"`
	Speaker string `json:"speaker,omitempty"`
}

// Error is a server's own: that it could not do what was asked.
type Error struct {
	Text string `json:"text"`
	Code string `json:"code"`
}

// Error is what the server said.
func (e Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("the server says: %s (%s)", e.Text, e.Code)
	}
	return "the server says: " + e.Text
}
