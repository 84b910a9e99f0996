from promptflow.core import tool
from promptflow.entities import InputSetting


@tool(name="Loud", description="Says it.", type="python", input_settings={"text": InputSetting(placeholder="words")})
def loud(text: str) -> str:
    return text + "!"
