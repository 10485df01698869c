using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace GptFunctions.Pages.Languages;

/// <summary>
/// In which language a person reads: what the client asked for (<c>ui_locales</c>, OpenID Connect Core 3.1.2.1), else what their browser says
/// (Accept-Language, RFC 9110 12.5.4), else English. A language is one class in this folder.
/// </summary>
internal static class Language
{
    /// <summary>The parameter of the authorization endpoint, which our own pages carry on.</summary>
    public const string Parameter = "ui_locales";

    /// <summary>More than any browser says; whoever sends more reads English.</summary>
    private const int MaximumLength = 1000;

    private static readonly object ItemKey = new();

    public static Texts English { get; } = new English();

    /// <summary>English first, which <c>*</c> means.</summary>
    public static IReadOnlyList<Texts> All { get; } =
    [
        English,
        .. Assembly.GetExecutingAssembly().GetTypes().Where(type => type.IsSubclassOf(typeof(Texts)) && !type.IsInstanceOfType(English))
            .Select(type => (Texts)Activator.CreateInstance(type)!).OrderBy(texts => texts.Tag, StringComparer.Ordinal),
    ];

    /// <summary>The language of the answer to this request.</summary>
    public static Texts Of(HttpContext context)
    {
        if (context.Items.TryGetValue(ItemKey, out var known))
        {
            return (Texts)known!;
        }

        var texts = Asked(context.Request.Query[Parameter].FirstOrDefault()) ?? Accepted(context.Request.Headers.AcceptLanguage.ToString());
        context.Items[ItemKey] = texts;
        return texts;
    }

    /// <summary>From now on this request is answered in this language; null: in that which it asks for itself.</summary>
    public static void Choose(HttpContext context, Texts? texts)
    {
        if (texts is not null)
        {
            context.Items[ItemKey] = texts;
        }
    }

    /// <summary>The first language of a list separated by spaces that we have, the one wanted most first; null when we have none of them.</summary>
    public static Texts? Asked(string? tags) =>
        tags is { Length: <= MaximumLength } ? tags.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Find).FirstOrDefault(found => found is not null)
            : null;

    /// <summary>The best of what an Accept-Language header admits; English when that is nothing, or when it cannot be read.</summary>
    public static Texts Accepted(string? header)
    {
        if (header is not { Length: > 0 and <= MaximumLength } || !StringWithQualityHeaderValue.TryParseList([header], out var ranges))
        {
            return English;
        }

        var refused = ranges.Where(range => range.Quality == 0).Select(range => range.Value.Value).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return ranges.Where(range => range.Quality != 0).OrderByDescending(range => range.Quality ?? 1)
            .Select(range => range.Value == "*"
                ? All.FirstOrDefault(texts => !refused.Contains(texts.Tag) && !ranges.Any(other => Find(other.Value.Value) == texts))
                : Find(range.Value.Value))
            .FirstOrDefault(found => found is not null && !refused.Contains(found.Tag)) ?? English;
    }

    /// <summary>RFC 4647 3.4: a tag is shortened from its end until we have it; <c>de-AT</c> finds <c>de</c>.</summary>
    private static Texts? Find(string? tag)
    {
        for (var rest = tag; !string.IsNullOrEmpty(rest); rest = rest.LastIndexOf('-') is > 0 and var end ? rest[..end] : null)
        {
            if (All.FirstOrDefault(texts => string.Equals(texts.Tag, rest, StringComparison.OrdinalIgnoreCase)) is { } found)
            {
                return found;
            }
        }

        return null;
    }
}
