using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;

namespace GptFunctions.Pages;

/// <summary>A text of <see cref="Texts"/>: each <see cref="Name"/> in it becomes a <c>bdi</c> element.</summary>
public sealed class Say : ComponentBase
{
    [Parameter, EditorRequired]
    public string Text { get; set; } = "";

    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        foreach (var part in Text.Split(Name.Begin))
        {
            // Before the first name there is none, and after each there is its end.
            if (part.Split(Name.End, 2) is [var name, var words])
            {
                builder.OpenElement(0, "bdi");
                builder.AddContent(1, name);
                builder.CloseElement();
                builder.AddContent(2, words);
            }
            else
            {
                builder.AddContent(3, part);
            }
        }
    }
}
