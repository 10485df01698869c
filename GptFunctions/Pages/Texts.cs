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
    public abstract string New { get; }
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
}
