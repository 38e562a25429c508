/** What has been decided in this browser, as far as a page may know it: nothing of a consent id is ever here. */
export interface ConsentState {
  /** How the choice stands: "unknown", "given", "renewed", "refused", "withdrawn", "expired", "invalidated" … */
  readonly status: string;
  /** The keys of all purposes and services that may load and store now. */
  readonly allowed: readonly string[];
}

/** What `on("change", …)` and the event `consent:change` tell. */
export interface ConsentChange extends ConsentState {
  /** The key of a service that was loaded just this once. */
  readonly once?: string;
}

export interface ConsentScript {
  /** Tells whether a purpose or a service may load and store now. */
  allows(purposeOrService: string): boolean;
  /** How things stand now, as a copy. */
  readonly choice: ConsentState;
  /** Opens the second layer over the page, or goes to it where that is not possible. */
  open(): Promise<void>;
  /** Calls the listener after every answer; returns a function that stops it. */
  on(name: "change", listener: (change: ConsentChange) => void): () => void;
}

declare global {
  interface Window {
    /** Undefined where the script is not on the page: before its turn, and where nothing is parked or granted. */
    readonly consent?: ConsentScript;
  }
  interface DocumentEventMap {
    "consent:change": CustomEvent<ConsentChange>;
  }
}
