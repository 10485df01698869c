using GptFunctions.Pages;

namespace GptFunctions.Development.Pages;

/// <summary>One of a list: what it is called, what it is known by, and what else there is to say.</summary>
public sealed record FrontLine(Name Name, string Id, string About);
