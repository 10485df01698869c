using GptFunctions.Hosting;

namespace GptFunctions.Pages;

/// <summary>
/// A name from outside (of an app, a host, a person) within a text of ours: without what people would not see, not longer than they would read, and
/// isolated from the direction of the words around it (Unicode UAX 9, FSI and PDI). <see cref="Say"/> makes an element of it; titles and labels, which
/// can hold no elements, go with the characters.
/// </summary>
public readonly record struct Name
{
    public const char Begin = '\u2068';
    public const char End = '\u2069';

    /// <summary>OpenID Connect Core 2: subjects have up to 255 characters; so may addresses.</summary>
    private const int MaximumAddress = 255;

    private readonly string? text;

    private Name(string text) => this.text = text;

    /// <summary>Clean, without the characters that isolate it.</summary>
    public string Text => text ?? "";

    public static implicit operator Name(string text) => new(DisplayText.Clean(text, DisplayText.MaximumName));

    /// <summary>An e-mail address, a host or a user id: people must see whose it is, so more of it stays.</summary>
    public static Name OfAddress(string text) => new(DisplayText.Clean(text, MaximumAddress));

    public override string ToString() => $"{Begin}{Text}{End}";
}
