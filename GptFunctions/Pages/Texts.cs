namespace GptFunctions.Pages;

/// <summary>A page's heading, and what follows from it.</summary>
/// <param name="Detail">What happened, and what to do next.</param>
public sealed record Notice(string Title, string Detail);

/// <summary>
/// Everything that pages say to people, in one language: one class in <c>Pages/Languages</c>, found by itself, complete or it does not compile. Plurals
/// and dates are the language's own affair. A <see cref="Name"/> is put into a text as it is; <see cref="Say"/> shows the text.
/// </summary>
public abstract class Texts
{
    /// <summary>BCP 47: <c>de</c>.</summary>
    public abstract string Tag { get; }

    /// <summary>The value of the dir attribute.</summary>
    public virtual string Direction => "ltr";

    /// <summary>Day, month, year, hour and minute, UTC.</summary>
    public abstract string Time(DateTimeOffset time);

    // Around every page

    public abstract string Privacy { get; }
    public abstract string Terms { get; }
    public abstract string Support { get; }
    public abstract string ConnectedApps { get; }

    // The consent page

    /// <param name="brand">Null: the service has no name.</param>
    public abstract string WantsToConnect(Name app, Name? brand);

    /// <summary>The browser's title for the same.</summary>
    public abstract string AllowThis(Name app);
    public abstract string SignedInAs { get; }
    public abstract string NotYou { get; }
    public abstract string ComesFrom { get; }
    public abstract string SendsYouBackTo { get; }
    public abstract string AppOnThisDevice { get; }

    /// <param name="scheme">What its links begin with.</param>
    public abstract string AppOnThisDeviceWith(Name scheme);

    /// <summary>First what is so, then what follows from it.</summary>
    public abstract Notice Unchecked { get; }

    /// <param name="host">Where it says what it is.</param>
    public abstract Notice UncheckedFrom(Name host);
    public abstract string ItWillBeAbleTo { get; }
    public abstract string NewScope { get; }
    public abstract string Allow { get; }
    public abstract string Cancel { get; }
    public abstract string IfYouDidNotAsk { get; }

    /// <summary>What is allowed can be taken back; a link to where follows.</summary>
    public abstract string TakeItBack { get; }

    // The same when there is no room for one more

    /// <param name="count">Of connections, two or more.</param>
    public abstract string NoRoom(int count);

    /// <param name="apps">Each connection that ends, by its app.</param>
    public abstract string OthersEnd(IReadOnlyList<Name> apps);

    /// <param name="count">Of this app's connections.</param>
    public abstract string NoRoomFor(Name app, int count);

    /// <param name="count">Of connections that end.</param>
    public abstract string ItsOwnEnd(int count);
    public abstract string LastUsed(DateTimeOffset time);
    public abstract string Disconnect { get; }
    public abstract string DisconnectThis(Name app);

    // Errors

    public abstract string QuoteThisNumber { get; }

    /// <summary>Stands before what only the makers of the app can do something about, in English.</summary>
    public abstract string ForItsMakers { get; }
    public abstract string GetHelp { get; }
    public abstract string StartPage { get; }
    public abstract Notice NotInProgress { get; }
    public abstract Notice AccountClosed { get; }
    public abstract Notice TooManyStarted(int seconds);
    public abstract Notice CannotBeConnected { get; }
    public abstract Notice CannotBeConnectedNow { get; }
    public abstract Notice BrokenLink { get; }
    public abstract Notice UnreadableForm { get; }
    public abstract Notice NothingChosen { get; }
    public abstract Notice NothingHere { get; }
    public abstract Notice Outage { get; }
    public abstract Notice Bug { get; }
    public abstract Notice TooLarge { get; }
    public abstract Notice Unreadable { get; }

    // The front page

    /// <param name="brand">Null: the service has no name.</param>
    public abstract Notice Welcome(Name? brand);
    public abstract string SeeConnectedApps { get; }
    public abstract string HowToConnect { get; }

    // Signing in to our own pages

    public abstract string SignInAgain { get; }
    public abstract string TryAgain { get; }
    public abstract string OpenItAgain { get; }
    public abstract string SignOut { get; }
    public abstract Notice NotSignedInAnyMore { get; }
    public abstract Notice TooManySignIns(int seconds);
    public abstract Notice DidNotSignIn { get; }
    public abstract Notice SignInFailed { get; }
    public abstract Notice SignInNotInProgress { get; }
    public abstract Notice YourAccountIsClosed { get; }

    /// <summary>A form is older than the sign-in, or another site sent it.</summary>
    public abstract Notice OutOfDate { get; }
    public abstract Notice SignedOut { get; }

    /// <summary>Here already, and next where the account is.</summary>
    public abstract Notice SignedOutHere { get; }
    public abstract string GoOn { get; }

    // Connected apps

    public abstract string NoAppIsConnected { get; }

    /// <summary>Stands before the list.</summary>
    public abstract string UntilYouDisconnectThem { get; }
    public abstract string DisconnectedOne { get; }
    public abstract string DisconnectedAll { get; }

    /// <param name="brand">Null: the service has no name.</param>
    public abstract string CheckedBy(Name? brand);
    public abstract string AppOnYourDevice { get; }
    public abstract string SwitchedOff { get; }
    public abstract string CanDoNothing { get; }
    public abstract string ConnectedSince { get; }
    public abstract string LastUsedOn { get; }
    public abstract string InThirtyDays { get; }
    public abstract string Requests(int count);
    public abstract string ConnectedFrom { get; }
    public abstract string Places(int count);
    public abstract string AllowedOn { get; }

    /// <summary>It has no connection, and may make one.</summary>
    public abstract string FromNowhere { get; }
    public abstract string MoreApps { get; }
    public abstract string Back { get; }

    /// <summary>What the links to further parts of a list are called together.</summary>
    public abstract string Parts { get; }
    public abstract string DisconnectEverything { get; }

    /// <summary>Each is a question and what a yes means.</summary>
    public abstract Notice AskToDisconnect(Name app, int places);
    public abstract Notice AskToDisconnectAll(int apps);
    public abstract string AndMore(int count);
    public abstract string KeepIt { get; }
    public abstract string KeepThem { get; }
}
