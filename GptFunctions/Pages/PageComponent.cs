using GptFunctions.Pages.Languages;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Pages;

/// <summary>What a page and its parts know: the request that they answer, and so in which language.</summary>
public abstract class PageComponent : ComponentBase
{
    [CascadingParameter]
    public HttpContext Context { get; set; } = null!;

    /// <summary>The texts of the person's language.</summary>
    private protected Texts T => Language.Of(Context);
}
