using Microsoft.AspNetCore.Http;

namespace GptFunctions.Pages;

/// <summary>What stands at the address of the service itself.</summary>
internal interface IFrontPage
{
    Task<IResult> ShowAsync(HttpContext context);
}

/// <summary>Says whose service this is, and leads to the connected apps.</summary>
internal sealed class PublicFrontPage : IFrontPage
{
    public Task<IResult> ShowAsync(HttpContext context) => Task.FromResult(PageResults.Render<FrontPage>(context, []));
}
